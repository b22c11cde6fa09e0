//! Secrets: keys, tokens and passwords, found by registered prefixes, structure, names and entropy.

mod signals;
