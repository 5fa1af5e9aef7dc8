# Arguments: a text to write to standard error when the directory can't be entered, the directory, the command.
cd -- "$2" 2>/dev/null || { printf %s "$1" >&2; exit 125; }
shift 2
exec "$@"
