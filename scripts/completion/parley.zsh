#compdef parley
# parley: completion for zsh. Printed by `parley completion zsh`; source it after compinit, or put
# it into a folder of $fpath as _parley.

@tables@
_parley() {
    local word command= option= ended= lines
    local -a where described
    integer i
    for ((i = 2; i < CURRENT; i++)); do
        word=${(Q)words[i]}
        if [[ -n $ended || $word != -?* ]]; then
            command=${command:-$word}
        elif [[ $word == -- ]]; then
            ended=yes
        elif [[ $word == --*=* ]]; then
            [[ $(_parley_value "${word%%=*}") != where ]] || where+=("$word")
        elif [[ -n $(_parley_value "$word") ]]; then
            if ((i + 1 == CURRENT)); then
                option=$word
            else
                i+=1
                [[ $(_parley_value "$word") != where ]] ||
                    where+=("$word" "${${(Q)words[i]}/#\~\//$HOME/}")
            fi
        fi
    done
    if [[ -z $option && -z $ended && $PREFIX == --*=* ]]; then
        option=${PREFIX%%=*}
        compset -P '*='
    fi
    local -a kind=(values value)
    if [[ -n $option ]]; then
        lines=$(_parley_offer "$command" "$option")
    elif [[ -z $ended && $PREFIX == -* ]]; then
        lines=$(_parley_options "$command")
        kind=(-o options option)
    elif [[ -z $command ]]; then
        lines=$(_parley_commands)
        kind=(commands command)
    else
        lines=$(_parley_offer "$command" "")
    fi
    case $lines in
    :files) _files && return ;;
    :folders) _files -/ && return ;;
    :names*)
        lines=$(${(Q)words[1]} completion --names ${lines#:names } $where 2>/dev/null </dev/null)
        ;;
    esac
    for word in ${(f)lines}; do
        described+=("${${word%%$'\t'*}//:/\\:}${${(M)word%%$'\t'*}:+:${word#*$'\t'}}")
    done
    if [[ $kind[1] == -o ]]; then
        _describe -o $kind[3] described
    else
        _describe -t $kind[1] $kind[2] described
    fi
}

if [[ $funcstack[1] == _parley ]]; then
    _parley "$@"
else
    compdef _parley parley
fi
