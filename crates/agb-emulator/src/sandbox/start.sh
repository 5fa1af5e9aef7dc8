# Arguments: a text to write to standard error when the directory can't be entered, the directory, the command.
# The mark of a session of plain processes (plain.rs), beside the environment where it is: a limit without any effect that
# every descendant inherits, whatever it does to its environment, files and process group. Shells name it differently.
if [ -n "$AGB_SANDBOX" ]; then { ulimit -w "$AGB_SANDBOX" || ulimit -x "$AGB_SANDBOX"; } 2>/dev/null; fi
cd -- "$2" 2>/dev/null || { printf %s "$1" >&2; exit 125; }
shift 2
exec "$@"
