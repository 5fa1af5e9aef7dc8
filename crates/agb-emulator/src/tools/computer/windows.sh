# Lists the managed windows, one a line: number, geometry, process id, process name, title, with tabs between.
wmctrl -l 2>/dev/null | while read -r id rest; do
    id=$((id))
    # Fails for a window that was closed meanwhile.
    geometry=$(xdotool getwindowgeometry --shell "$id" 2>/dev/null) || continue
    # xdotool adds the frame's borders twice to where a window is; xprop, where it is installed, tells how wide they are.
    borders=$(xprop -id "$id" -notype _NET_FRAME_EXTENTS 2>/dev/null | sed -n 's/^[^=]*= *\([0-9]*\), *[0-9]*, *\([0-9]*\),.*/\1 \2/p')
    geometry=$(
        eval "$geometry"
        set -- ${borders:-0 0}
        echo "X=$((X - $1)) Y=$((Y - $2)) WIDTH=$WIDTH HEIGHT=$HEIGHT"
    )
    pid=$(xdotool getwindowpid "$id" 2>/dev/null) || pid=0
    name=$(cat "/proc/$pid/comm" 2>/dev/null) || name=
    title=$(xdotool getwindowname "$id" 2>/dev/null | tr '\n\t' '  ')
    printf '%s\t%s\t%s\t%s\t%s\n' "$id" "$geometry" "$pid" "$name" "$title"
done
