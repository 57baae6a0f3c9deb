#!/usr/bin/env zsh
# SPDX-License-Identifier: MIT
# capture.zsh SCRIPT LINE: what zsh offers after LINE once SCRIPT is loaded, a word a line.
#
# A shell on a pseudo-terminal completes as for a person; its compadd also writes down what it adds,
# and the end of the completion is told through a pipe, so that nothing here waits for a while.
zmodload zsh/zpty || exit 77
setopt no_unset
script=$1 line=$2 dir=$(mktemp -d)
mkfifo $dir/done || exit 1
exec 3<>$dir/done # for as long as this lives, so that no writer's end is the end
: >$dir/words
cat >$dir/.zshrc <<'RC'
PS1= PS2= RPS1=
unsetopt beep
autoload -Uz compinit
compinit -u -D
compadd() {
    if [[ " ${@[1,(i)(-|--)]} " != *" -"(O|A|D)" "* ]]; then
        local -a matched
        builtin compadd -A matched "$@"
        print -rl -- $matched >>$CAPTURE/words
    fi
    builtin compadd "$@"
}
source $CAPTURE_SCRIPT
capture() {
    _main_complete
    print -r -- done >$CAPTURE/done
}
zle -C capture complete-word capture
bindkey '^I' capture
begun=
zle-line-init() { [[ -n $begun ]] || print -r -- ready >$CAPTURE/done; begun=yes }
zle -N zle-line-init
RC
export CAPTURE=$dir CAPTURE_SCRIPT=$script ZDOTDIR=$dir TERM=xterm
zpty shell 'zsh -d -i' || exit 77
read -r -u 3 answer
zpty -w -n shell "$line"$'\t'
read -r -u 3 answer
zpty -d shell
sort -u $dir/words | sed '/^$/d'
rm -rf $dir # not by a trap, which the shell on the pseudo-terminal would have too
