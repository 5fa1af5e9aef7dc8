//! What a program does inside a session: run code and commands, work with files.
