#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# pam_audit.sh 0|1|2 [LOG]: writes one line about a login (0), a logout (1) or a failed login (2)
# into the agent's PAM log. Called by pam_exec(8), as root, with what PAM knows in the environment:
#
#   time,seconds,pid,type,service,user,remote host,terminal,0|1|2
#
# User, host and terminal are chosen by whoever knocks. So that none of them can end a line or begin
# a field, one with other bytes than letters, digits and a few marks is written as "%72%2C…", and a
# long one is cut. The line goes out in one write at the file's end, whoever else writes there.
#
# It never keeps anybody from logging in: it says nothing and always succeeds.

LC_ALL=C
PATH=/usr/bin:/bin
export LC_ALL PATH
umask 077

log=${2:-/var/lib/gemel-agent/pam.log}
case $1 in 0 | 1 | 2) ;; *) exit 0 ;; esac
[ -d "${log%/*}" ] || exit 0

# The agent begins a new file long before this size; past it, nobody reads.
[ -z "$(find "$log" -size +16384 2>/dev/null)" ] || exit 0

escape() {
    case $1 in
    *[!A-Za-z0-9@._:/+=-]*)
        printf '%s' "$1" | od -An -v -tx1 -N255 | tr -d ' \n' | sed 's/../%&/g' | tr a-f A-F
        ;;
    *) printf '%.255s' "$1" ;;
    esac
}

line=$(date -u '+%Y-%m-%dT%H:%M:%SZ,%s'),$PPID,$(escape "$PAM_TYPE"),$(escape "$PAM_SERVICE")
line=$line,$(escape "$PAM_USER"),$(escape "$PAM_RHOST"),$(escape "$PAM_TTY"),$1
printf '%s\n' "$line" >>"$log" 2>/dev/null
exit 0
