# parley: completion for fish. Printed by `parley completion fish`; source it, or put it into
# ~/.config/fish/completions/parley.fish.

# What kind of value an option takes, nothing for one that takes none.
function __parley_value
    switch $argv[1]
@values@    end
end

# The command on the line; nothing before there is one.
function __parley_command
    set -l words (commandline -opc)
    set -l skip
    for word in $words[2..-1]
        if test -n "$skip"
            set skip
        else if test "$word" = --
            continue
        else if not string match -q -- '-?*' "$word"
            echo "$word"
            return
        else
            set skip (__parley_value "$word")
        end
    end
end

# Whether that is one of these; "" stands for none.
function __parley_in
    set -l command (__parley_command)
    contains -- "$command" $argv
end

# Names that the program knows, by the options on the line that say where they are.
function __parley_names
    set -l words (commandline -opc)
    set -l where
    set -l kind
    for word in $words[2..-1]
        if test -n "$kind"
            test "$kind" = where; and set -a where "$word"
            test "$kind" = own; and set -e where[-1]
            set kind
        else if string match -q -- '--*=*' "$word"
            test "$(__parley_value (string split -m 1 = -- $word)[1])" = where; and set -a where $word
        else
            set kind (__parley_value "$word")
            test -n "$kind"; and set -a where "$word"
        end
    end
    test -n "$kind"; and set -e where[-1]
    $words[1] completion --names $argv[1] $where 2>/dev/null
end

complete -c parley -f
@completes@
