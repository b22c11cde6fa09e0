//! Log set-up: JSON lines for machines, plain lines for a terminal. Filtered by `DEMUR_LOG`'s directives.
