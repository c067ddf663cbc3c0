# SPDX-License-Identifier: Apache-2.0
# fish completion for gatehouse, which knows itself what may stand where.

function __gatehouse_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l found ($words[1] complete $words[2..-1] "$current" 2>/dev/null)
    if test $status = 1
        __fish_complete_path $current
    else
        printf '%s\n' $found
    end
end
complete -c gatehouse -f -a '(__gatehouse_complete)'
