# llmcli's completion for bash; written by completions/generate.py

_llmcli() {
    local line=${COMP_LINE:0:COMP_POINT} command= word cur prev words= asked= files= flags= below=
    local -a typed
    local IFS=$' \t\n'
    # Without -r: a backslash keeps a word together.
    read -a typed <<<"$line"
    if [[ $line == *[[:space:]] && $line != *\\[[:space:]] ]]; then cur=
    else cur=${typed[-1]}; unset 'typed[-1]'; fi
    prev=${typed[-1]}
    for word in "${typed[@]:1}"; do
        case "$command $word" in
            ' chat'|' tokenize'|' detokenize'|' count'|' vocab'|' probs'|' bench'|' doctor'|' sessions'|'sessions list'|'sessions show'|'sessions export'|'sessions rm'|'sessions search'|' models'|'models list'|'models show'|'models pull'|'models path'|'models rm'|' config'|'config show'|'config path'|'config set'|'config unset')
                command=${command:+$command }$word ;;
        esac
    done
    if [[ $cur == --*=* ]]; then prev=${cur%%=*} cur=${cur#*=}; fi
    case $command in
        '')
            flags='--version --debug -q --quiet --color --show-completion -h --help'
            below='chat tokenize detokenize count vocab probs bench doctor sessions models config'
            case $prev in
                --color) flags= below= words='auto always never' ;;
                --show-completion) flags= below= words='bash zsh fish' ;;
            esac ;;
        chat)
            flags='-m --model -p --prompt -f --file --turns -sys --system -sysf --system-file --chat-template --chat-template-kwargs --no-kv-snapshot --json --jsonl --session --continue --no-save -c --ctx-size -ngl --n-gpu-layers -t --threads -tb --threads-batch -b --batch-size -ub --ubatch-size -fa --flash-attn -ctk --cache-type-k -ctv --cache-type-v -mg --main-gpu -ts --tensor-split -sm --split-mode -dev --device -cmoe --cpu-moe --rpc --no-mmap --mlock --swa-full --rope-scaling --rope-freq-base --rope-freq-scale --yarn-orig-ctx --yarn-ext-factor --yarn-attn-factor --yarn-beta-slow --yarn-beta-fast --lora -l --logit-bias --grammar --grammar-file -j --json-schema -jf --json-schema-file --repeat-last-n --repeat-penalty --frequency-penalty --presence-penalty --dry-multiplier --top-nsigma --top-k --typical --top-p --min-p --xtc-probability --xtc-threshold --temp -s --seed -n --predict -r --stop --reverse-prompt --overflow --reserve --keep-messages --refill --think --stats --no-stats --plain --markdown --probs --no-probs --debug -q --quiet --color -h --help'
            case $prev in
                -m|--model) flags= below= asked=models files=yes ;;
                -p|--prompt) flags= below= ;;
                -f|--file) flags= below= files=yes ;;
                --turns) flags= below= files=yes ;;
                -sys|--system) flags= below= ;;
                -sysf|--system-file) flags= below= files=yes ;;
                --chat-template) flags= below= words='chatglm4 chatml command-r deepseek deepseek2 deepseek3 exaone3 falcon3 gemma granite kimi-k2 llama2 llama2-sys llama3 llama4 mistral-v1 mistral-v3 mistral-v3-tekken mistral-v7 mistral-v7-tekken openchat phi3 phi4 vicuna zephyr' files=yes ;;
                --chat-template-kwargs) flags= below= ;;
                --session) flags= below= asked=sessions ;;
                -c|--ctx-size) flags= below= words=auto ;;
                -ngl|--n-gpu-layers) flags= below= words='auto all' ;;
                -t|--threads) flags= below= ;;
                -tb|--threads-batch) flags= below= ;;
                -b|--batch-size) flags= below= ;;
                -ub|--ubatch-size) flags= below= ;;
                -fa|--flash-attn) flags= below= words='auto on off' ;;
                -ctk|--cache-type-k) flags= below= words='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
                -ctv|--cache-type-v) flags= below= words='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
                -mg|--main-gpu) flags= below= ;;
                -ts|--tensor-split) flags= below= ;;
                -sm|--split-mode) flags= below= words='none layer row' ;;
                -dev|--device) flags= below= ;;
                --rpc) flags= below= ;;
                --rope-scaling) flags= below= words='none linear yarn' ;;
                --rope-freq-base) flags= below= ;;
                --rope-freq-scale) flags= below= ;;
                --yarn-orig-ctx) flags= below= ;;
                --yarn-ext-factor) flags= below= ;;
                --yarn-attn-factor) flags= below= ;;
                --yarn-beta-slow) flags= below= ;;
                --yarn-beta-fast) flags= below= ;;
                --lora) flags= below= files=yes ;;
                -l|--logit-bias) flags= below= ;;
                --grammar) flags= below= ;;
                --grammar-file) flags= below= files=yes ;;
                -j|--json-schema) flags= below= ;;
                -jf|--json-schema-file) flags= below= files=yes ;;
                --repeat-last-n) flags= below= ;;
                --repeat-penalty) flags= below= ;;
                --frequency-penalty) flags= below= ;;
                --presence-penalty) flags= below= ;;
                --dry-multiplier) flags= below= ;;
                --top-nsigma) flags= below= ;;
                --top-k) flags= below= ;;
                --typical) flags= below= ;;
                --top-p) flags= below= ;;
                --min-p) flags= below= ;;
                --xtc-probability) flags= below= ;;
                --xtc-threshold) flags= below= ;;
                --temp) flags= below= ;;
                -s|--seed) flags= below= ;;
                -n|--predict) flags= below= ;;
                -r|--stop|--reverse-prompt) flags= below= ;;
                --overflow) flags= below= words='drop middle summarize shift stop' ;;
                --reserve) flags= below= ;;
                --keep-messages) flags= below= ;;
                --refill) flags= below= words='auto shift exact' ;;
                --think) flags= below= words='show hide off' ;;
                --color) flags= below= words='auto always never' ;;
            esac ;;
        tokenize)
            flags='-f --file -m --model --tokenizer --format --json -o --output --lines --jsonl -0 --null --on-error --parse-special --no-parse-special --bos --no-bos --eos --no-eos --truncate --tail --chunk --overlap --explain --compare --verify --messages --chat-template --chat-template-kwargs --debug -q --quiet --color -h --help'
            case $prev in
                -f|--file) flags= below= files=yes ;;
                -m|--model) flags= below= asked=models files=yes ;;
                --tokenizer) flags= below= files=yes ;;
                --format) flags= below= words='table ids list lines pieces json jsonl npy bin' ;;
                -o|--output) flags= below= files=yes ;;
                --jsonl) flags= below= ;;
                --on-error) flags= below= words='fail skip' ;;
                --truncate) flags= below= ;;
                --chunk) flags= below= ;;
                --overlap) flags= below= ;;
                --compare) flags= below= asked=models files=yes ;;
                --verify) flags= below= ;;
                --messages) flags= below= files=yes ;;
                --chat-template) flags= below= words='chatglm4 chatml command-r deepseek deepseek2 deepseek3 exaone3 falcon3 gemma granite kimi-k2 llama2 llama2-sys llama3 llama4 mistral-v1 mistral-v3 mistral-v3-tekken mistral-v7 mistral-v7-tekken openchat phi3 phi4 vicuna zephyr' files=yes ;;
                --chat-template-kwargs) flags= below= ;;
                --color) flags= below= words='auto always never' ;;
                *) words=text ;;
            esac ;;
        detokenize)
            flags='-m --model --tokenizer --debug -q --quiet --color -h --help'
            case $prev in
                -m|--model) flags= below= asked=models files=yes ;;
                --tokenizer) flags= below= files=yes ;;
                --color) flags= below= words='auto always never' ;;
                *) ;;
            esac ;;
        count)
            flags='-m --model --tokenizer --max --stats --json --parse-special --no-parse-special --bos --no-bos --eos --no-eos --debug -q --quiet --color -h --help'
            case $prev in
                -m|--model) flags= below= asked=models files=yes ;;
                --tokenizer) flags= below= files=yes ;;
                --max) flags= below= ;;
                --color) flags= below= words='auto always never' ;;
                *) files=yes ;;
            esac ;;
        vocab)
            flags='--grep --special --byte --unused -m --model --tokenizer --format --json --debug -q --quiet --color -h --help'
            case $prev in
                --grep) flags= below= ;;
                -m|--model) flags= below= asked=models files=yes ;;
                --tokenizer) flags= below= files=yes ;;
                --format) flags= below= words='table tsv json jsonl' ;;
                --color) flags= below= words='auto always never' ;;
                *) words=query ;;
            esac ;;
        probs)
            flags='-f --file -m --model --format --json -c --ctx-size -ngl --n-gpu-layers -t --threads -tb --threads-batch -b --batch-size -ub --ubatch-size -fa --flash-attn -ctk --cache-type-k -ctv --cache-type-v -mg --main-gpu -ts --tensor-split -sm --split-mode -dev --device -cmoe --cpu-moe --rpc --no-mmap --mlock --swa-full --rope-scaling --rope-freq-base --rope-freq-scale --yarn-orig-ctx --yarn-ext-factor --yarn-attn-factor --yarn-beta-slow --yarn-beta-fast --lora -l --logit-bias --grammar --grammar-file -j --json-schema -jf --json-schema-file --repeat-last-n --repeat-penalty --frequency-penalty --presence-penalty --dry-multiplier --top-nsigma --top-k --typical --top-p --min-p --xtc-probability --xtc-threshold --temp -s --seed -n --predict -r --stop --reverse-prompt -k --top --token --temps --chain --steps --pick --score --html --continue --tree --width --versus --versus-prompt -i --interactive --chat --messages --chat-template --chat-template-kwargs --debug -q --quiet --color -h --help'
            case $prev in
                -f|--file) flags= below= files=yes ;;
                -m|--model) flags= below= asked=models files=yes ;;
                --format) flags= below= words='table json' ;;
                -c|--ctx-size) flags= below= words=auto ;;
                -ngl|--n-gpu-layers) flags= below= words='auto all' ;;
                -t|--threads) flags= below= ;;
                -tb|--threads-batch) flags= below= ;;
                -b|--batch-size) flags= below= ;;
                -ub|--ubatch-size) flags= below= ;;
                -fa|--flash-attn) flags= below= words='auto on off' ;;
                -ctk|--cache-type-k) flags= below= words='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
                -ctv|--cache-type-v) flags= below= words='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
                -mg|--main-gpu) flags= below= ;;
                -ts|--tensor-split) flags= below= ;;
                -sm|--split-mode) flags= below= words='none layer row' ;;
                -dev|--device) flags= below= ;;
                --rpc) flags= below= ;;
                --rope-scaling) flags= below= words='none linear yarn' ;;
                --rope-freq-base) flags= below= ;;
                --rope-freq-scale) flags= below= ;;
                --yarn-orig-ctx) flags= below= ;;
                --yarn-ext-factor) flags= below= ;;
                --yarn-attn-factor) flags= below= ;;
                --yarn-beta-slow) flags= below= ;;
                --yarn-beta-fast) flags= below= ;;
                --lora) flags= below= files=yes ;;
                -l|--logit-bias) flags= below= ;;
                --grammar) flags= below= ;;
                --grammar-file) flags= below= files=yes ;;
                -j|--json-schema) flags= below= ;;
                -jf|--json-schema-file) flags= below= files=yes ;;
                --repeat-last-n) flags= below= ;;
                --repeat-penalty) flags= below= ;;
                --frequency-penalty) flags= below= ;;
                --presence-penalty) flags= below= ;;
                --dry-multiplier) flags= below= ;;
                --top-nsigma) flags= below= ;;
                --top-k) flags= below= ;;
                --typical) flags= below= ;;
                --top-p) flags= below= ;;
                --min-p) flags= below= ;;
                --xtc-probability) flags= below= ;;
                --xtc-threshold) flags= below= ;;
                --temp) flags= below= ;;
                -s|--seed) flags= below= ;;
                -n|--predict) flags= below= ;;
                -r|--stop|--reverse-prompt) flags= below= ;;
                -k|--top) flags= below= ;;
                --token) flags= below= ;;
                --temps) flags= below= ;;
                --steps) flags= below= ;;
                --pick) flags= below= words='greedy sample' ;;
                --html) flags= below= files=yes ;;
                --continue) flags= below= ;;
                --tree) flags= below= ;;
                --width) flags= below= ;;
                --versus) flags= below= asked=models files=yes ;;
                --versus-prompt) flags= below= ;;
                --messages) flags= below= files=yes ;;
                --chat-template) flags= below= words='chatglm4 chatml command-r deepseek deepseek2 deepseek3 exaone3 falcon3 gemma granite kimi-k2 llama2 llama2-sys llama3 llama4 mistral-v1 mistral-v3 mistral-v3-tekken mistral-v7 mistral-v7-tekken openchat phi3 phi4 vicuna zephyr' files=yes ;;
                --chat-template-kwargs) flags= below= ;;
                --color) flags= below= words='auto always never' ;;
                *) words=prompt ;;
            esac ;;
        bench)
            flags='-m --model --format --json -p --n-prompt -n --n-gen -r --repetitions -c --ctx-size -ngl --n-gpu-layers -t --threads -tb --threads-batch -b --batch-size -ub --ubatch-size -fa --flash-attn -ctk --cache-type-k -ctv --cache-type-v -mg --main-gpu -ts --tensor-split -sm --split-mode -dev --device -cmoe --cpu-moe --rpc --no-mmap --mlock --swa-full --rope-scaling --rope-freq-base --rope-freq-scale --yarn-orig-ctx --yarn-ext-factor --yarn-attn-factor --yarn-beta-slow --yarn-beta-fast --lora --debug -q --quiet --color -h --help'
            case $prev in
                -m|--model) flags= below= asked=models files=yes ;;
                --format) flags= below= words='table json' ;;
                -p|--n-prompt) flags= below= ;;
                -n|--n-gen) flags= below= ;;
                -r|--repetitions) flags= below= ;;
                -c|--ctx-size) flags= below= words=auto ;;
                -ngl|--n-gpu-layers) flags= below= words='auto all' ;;
                -t|--threads) flags= below= ;;
                -tb|--threads-batch) flags= below= ;;
                -b|--batch-size) flags= below= ;;
                -ub|--ubatch-size) flags= below= ;;
                -fa|--flash-attn) flags= below= words='auto on off' ;;
                -ctk|--cache-type-k) flags= below= words='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
                -ctv|--cache-type-v) flags= below= words='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
                -mg|--main-gpu) flags= below= ;;
                -ts|--tensor-split) flags= below= ;;
                -sm|--split-mode) flags= below= words='none layer row' ;;
                -dev|--device) flags= below= ;;
                --rpc) flags= below= ;;
                --rope-scaling) flags= below= words='none linear yarn' ;;
                --rope-freq-base) flags= below= ;;
                --rope-freq-scale) flags= below= ;;
                --yarn-orig-ctx) flags= below= ;;
                --yarn-ext-factor) flags= below= ;;
                --yarn-attn-factor) flags= below= ;;
                --yarn-beta-slow) flags= below= ;;
                --yarn-beta-fast) flags= below= ;;
                --lora) flags= below= files=yes ;;
                --color) flags= below= words='auto always never' ;;
            esac ;;
        doctor)
            flags='--json --debug -q --quiet --color -h --help'
            case $prev in
                --color) flags= below= words='auto always never' ;;
            esac ;;
        sessions)
            flags='-h --help'
            below='list show export rm search'
            case $prev in
            esac ;;
        'sessions list')
            flags='--json --debug -q --quiet --color -h --help'
            case $prev in
                --color) flags= below= words='auto always never' ;;
            esac ;;
        'sessions show')
            flags='--json --debug -q --quiet --color -h --help'
            case $prev in
                --color) flags= below= words='auto always never' ;;
                *) ;;
            esac ;;
        'sessions export')
            flags='--format --json --all -o --output --debug -q --quiet --color -h --help'
            case $prev in
                --format) flags= below= words='md json jsonl html' ;;
                -o|--output) flags= below= files=yes ;;
                --color) flags= below= words='auto always never' ;;
                *) ;;
            esac ;;
        'sessions rm')
            flags='-y --yes --debug -q --quiet --color -h --help'
            case $prev in
                --color) flags= below= words='auto always never' ;;
                *) ;;
            esac ;;
        'sessions search')
            flags='--json --debug -q --quiet --color -h --help'
            case $prev in
                --color) flags= below= words='auto always never' ;;
                *) ;;
            esac ;;
        models)
            flags='-h --help'
            below='list show pull path rm'
            case $prev in
            esac ;;
        'models list')
            flags='--format --json --debug -q --quiet --color -h --help'
            case $prev in
                --format) flags= below= words='table tsv json jsonl' ;;
                --color) flags= below= words='auto always never' ;;
            esac ;;
        'models show')
            flags='--json -c --ctx-size -ngl --n-gpu-layers -b --batch-size -ub --ubatch-size -fa --flash-attn -ctk --cache-type-k -ctv --cache-type-v --swa-full -cmoe --cpu-moe --debug -q --quiet --color -h --help'
            case $prev in
                -c|--ctx-size) flags= below= words=auto ;;
                -ngl|--n-gpu-layers) flags= below= words='auto all' ;;
                -b|--batch-size) flags= below= ;;
                -ub|--ubatch-size) flags= below= ;;
                -fa|--flash-attn) flags= below= words='auto on off' ;;
                -ctk|--cache-type-k) flags= below= words='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
                -ctv|--cache-type-v) flags= below= words='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
                --color) flags= below= words='auto always never' ;;
                *) asked=models files=yes ;;
            esac ;;
        'models pull')
            flags='--json --debug -q --quiet --color -h --help'
            case $prev in
                --color) flags= below= words='auto always never' ;;
                *) ;;
            esac ;;
        'models path')
            flags='--debug -q --quiet --color -h --help'
            case $prev in
                --color) flags= below= words='auto always never' ;;
                *) asked=models files=yes ;;
            esac ;;
        'models rm')
            flags='-y --yes --debug -q --quiet --color -h --help'
            case $prev in
                --color) flags= below= words='auto always never' ;;
                *) asked=models files=yes ;;
            esac ;;
        config)
            flags='-h --help'
            below='show path set unset'
            case $prev in
            esac ;;
        'config show')
            flags='--format --json --debug -q --quiet --color -h --help'
            case $prev in
                --format) flags= below= words='table toml json' ;;
                --color) flags= below= words='auto always never' ;;
            esac ;;
        'config path')
            flags='--debug -q --quiet --color -h --help'
            case $prev in
                --color) flags= below= words='auto always never' ;;
            esac ;;
        'config set')
            flags='--debug -q --quiet --color -h --help'
            case $prev in
                --color) flags= below= words='auto always never' ;;
                *) asked=settings ;;
            esac ;;
        'config unset')
            flags='--debug -q --quiet --color -h --help'
            case $prev in
                --color) flags= below= words='auto always never' ;;
                *) asked=settings ;;
            esac ;;
    esac
    [[ $flags && $cur == -* ]] && words=$flags asked= files=
    [[ $below && $cur != -* ]] && words=$below
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    # Not by compgen -W: that runs a command which stands in a name.
    local -a names=() places=()
    [[ $asked ]] && mapfile -t names < <(_LLMCLI_NAMES=$asked "$1" 2>/dev/null)
    if [[ $files && $asked ]]; then
        mapfile -t places < <(compgen -d -- "$cur"; compgen -f -X '!*.gguf' -- "$cur")
        COMPREPLY+=("${places[@]}")
    fi
    # bash takes : and = for the beginnings of words
    local head=${cur%"${cur##*[:=]}"}
    COMPREPLY=("${COMPREPLY[@]#"$head"}")
    for word in "${names[@]}"; do
        [[ $word == "$cur"* ]] || continue
        word=${word#"$head"}
        # readline quotes what it takes for the names of files, and nothing else
        [[ $places ]] || printf -v word %q "$word"
        COMPREPLY+=("$word")
    done
    [[ $places ]] && compopt -o filenames
    [[ $files || $COMPREPLY ]] || compopt +o default
}

complete -o default -F _llmcli llmcli
