//! The binding: converts, awaits, converts back; decides nothing.
