//! Personal data: found by form, confirmed by check digits, registries and the words around it.

mod signals;
