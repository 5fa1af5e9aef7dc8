# The desktop of one session: an X server that only exists in memory, and a window manager. Arguments: a directory for
# its files, the size of the screen. Prints one line, "ready <display> <authority file>", "missing <programs>" or
# "failed <reason>", and ends with the X server.
set -u
umask 077
missing=
for program in Xvfb xkbcomp openbox xdotool wmctrl import; do
    command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
done
if [ -n "$missing" ]; then
    echo "missing$missing"
    exit 1
fi
rm -rf -- "$1"
mkdir -p -- "$1" || { echo "failed $1 can't be made"; exit 1; }
mkfifo "$1/display"
# Other sessions share the network's namespace, where X servers can be reached, too: only who has the cookie may enter.
# The format is that of xauth(1), for any host and any display.
XAUTHORITY=$1/authority
{
    printf '\377\377\000\000\000\000\000\022MIT-MAGIC-COOKIE-1\000\020'
    head -c 16 /dev/urandom
} >"$XAUTHORITY"
export XAUTHORITY
# -r: a held key does not repeat, as each key that is typed would be on a machine that is slow to release it.
Xvfb -displayfd 3 -r -screen 0 "$2x24" -dpi 96 -nolisten tcp -noreset -auth "$XAUTHORITY" 3>"$1/display" >&2 &
server=$!
# An end in order takes the server's socket and lock away.
trap 'kill "$server"; wait "$server"; exit 0' TERM
if ! read -r display <"$1/display"; then
    echo "failed the X server did not start"
    exit 1
fi
DISPLAY=:$display
export DISPLAY
openbox --sm-disable >&2 &
manager=$!
until wmctrl -m >/dev/null 2>&1; do
    if ! kill -0 "$manager" 2>/dev/null; then
        echo "failed the window manager did not start"
        exit 1
    fi
    sleep 0.02
done
echo "ready $DISPLAY $XAUTHORITY"
wait "$server"
