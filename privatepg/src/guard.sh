# Lives here: the end of a private server, whoever forgets it. Its input is a pipe of the process that owns the server;
# the pipe closes when that process says so or is gone, kill -9 included. Runs as the server's user.
# Never here: starting it.
folder=$1
# Whoever wants the owner to end must not end its guard first.
trap '' INT TERM HUP
cat >/dev/null

# Line 1 of the file is the pid and line 7 the shared memory. The file outlives a kill -9, and the number may be another
# process's by then; the server's own has the data for its working folder.
file=$folder/data/postmaster.pid
pid=$(sed -n 1p "$file" 2>/dev/null)
memory=$(sed -n 7p "$file" 2>/dev/null)
alive() { [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$folder/data" ]; }
if alive; then
    kill -QUIT "$pid"
    left=100
    while alive && [ "$left" -gt 0 ]; do
        sleep 0.1
        left=$((left - 1))
    done
    if alive; then kill -KILL "$pid"; fi
elif [ -n "$memory" ]; then
    # A server that was killed leaves a page of shared memory behind, which goes with nobody.
    ipcrm -m "${memory##* }" 2>/dev/null
fi
rm -rf "$folder" 2>/dev/null
