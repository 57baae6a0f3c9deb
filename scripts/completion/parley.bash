# parley: completion for bash. Printed by `parley completion bash`; source it, or put it where
# bash-completion looks: share/bash-completion/completions/parley.

@tables@
# What follows on the line when the words so far are $2…; $1 is the program.
_parley_lines() {
    local program=$1 word command= option= ended= lines
    local -a where=()
    shift
    while [[ $# -gt 1 ]]; do
        word=$1
        shift
        if [[ $ended || $word != -?* ]]; then
            command=${command:-$word}
        elif [[ $word == -- ]]; then
            ended=yes
        elif [[ $word == --*=* ]]; then
            [[ $(_parley_value "${word%%=*}") != where ]] || where+=("$word")
        elif [[ $(_parley_value "$word") ]]; then
            if [[ $# -eq 1 ]]; then
                option=$word
            else
                [[ $(_parley_value "$word") != where ]] || where+=("$word" "$1")
                shift
            fi
        fi
    done
    word=${1-}
    if [[ ! $option && ! $ended && $word == --*=* ]]; then
        option=${word%%=*}
    fi
    if [[ $option ]]; then
        lines=$(_parley_offer "$command" "$option")
    elif [[ ! $ended && $word == -* ]]; then
        lines=$(_parley_options "$command")
    elif [[ ! $command ]]; then
        lines=$(_parley_commands)
    else
        lines=$(_parley_offer "$command" "")
    fi
    if [[ $lines == :names* ]]; then
        lines=$("$program" completion --names "${lines#:names }" "${where[@]}" 2>/dev/null </dev/null)
    fi
    printf '%s\n' "$lines"
}

_parley() {
    local word last='' lines i current
    local -a words=()
    COMPREPLY=()
    # bash breaks words at ":" and "="; we do not.
    for ((i = 1; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ ${#words[@]} -gt 0 && ($word == [:=]* || $last == [:=]) ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        last=$word
    done
    # Quotes are taken off, and nothing that is typed is run.
    words=("${words[@]//[\"\'\\]/}")
    words=("${words[@]/#\~\//$HOME/}")
    current=${words[${#words[@]} - 1]-}
    lines=$(_parley_lines "${COMP_WORDS[0]}" "${words[@]}")
    [[ $current != --*=* ]] || current=${current#*=}
    case $lines in
    :files | :folders)
        compopt -o filenames 2>/dev/null
        i=-f
        [[ $lines == :files ]] || i=-d
        mapfile -t COMPREPLY < <(compgen "$i" -- "$current")
        return
        ;;
    esac
    while IFS=$'\t' read -r word _; do
        [[ $word && $word == "$current"* ]] || continue
        if [[ $COMP_WORDBREAKS == *:* && $current == *:* ]]; then
            word=${word#"${current%:*}:"}
        fi
        printf -v word %q "$word"
        COMPREPLY+=("$word")
    done <<<"$lines"
}

complete -F _parley parley
