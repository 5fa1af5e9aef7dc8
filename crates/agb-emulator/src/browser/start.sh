# Starts Chromium in a session. Arguments: the directory that extensions are in, the directory of its data or nothing for
# the session's own, the program, its arguments.
extensions=$1
data=${2:-$TMPDIR/agb_browser_data}
program=$3
shift 3
mkdir -p -- "$data" || exit 125
# Chromium makes a socket there, whose path must be short.
if [ "${#TMPDIR}" -gt 40 ]; then
    cd -- "$TMPDIR" || exit 125
    export TMPDIR=.
fi
# What a browser that was killed left: it would keep the next one from starting.
rm -f -- "$data"/Singleton*
list=
for manifest in "$extensions"/*/manifest.json; do
    [ -f "$manifest" ] && list=$list${list:+,}${manifest%/manifest.json}
done
if [ -n "$list" ]; then set -- "--load-extension=$list" "$@"; fi
exec "$program" "--user-data-dir=$data" "$@"
