{% macro language(path, extension) -%}
    {#- The language of a file by its name; other extensions are 'other', a file without one is 'none'. -#}
    {%- set languages = {
        'Python': ['py', 'pyi', 'pyx'],
        'Jupyter': ['ipynb'],
        'TypeScript': ['ts', 'tsx', 'mts', 'cts'],
        'JavaScript': ['js', 'jsx', 'mjs', 'cjs'],
        'Vue': ['vue'],
        'Svelte': ['svelte'],
        'HTML': ['html', 'htm', 'heex', 'eex', 'erb', 'hbs', 'jinja', 'j2'],
        'CSS': ['css', 'scss', 'sass', 'less'],
        'Go': ['go'],
        'Rust': ['rs'],
        'Java': ['java'],
        'Kotlin': ['kt', 'kts'],
        'Scala': ['scala'],
        'C': ['c', 'h'],
        'C++': ['cc', 'cpp', 'cxx', 'hpp', 'hh'],
        'C#': ['cs', 'csx', 'razor'],
        'F#': ['fs', 'fsx'],
        'Swift': ['swift'],
        'Objective-C': ['m', 'mm'],
        'Ruby': ['rb', 'rake'],
        'PHP': ['php'],
        'Elixir': ['ex', 'exs'],
        'Erlang': ['erl'],
        'Haskell': ['hs'],
        'Lua': ['lua'],
        'R': ['r', 'rmd'],
        'Julia': ['jl'],
        'Dart': ['dart'],
        'Zig': ['zig'],
        'SQL': ['sql'],
        'Shell': ['sh', 'bash', 'zsh', 'fish'],
        'PowerShell': ['ps1', 'psm1'],
        'Terraform': ['tf', 'tfvars', 'hcl'],
        'Protobuf': ['proto'],
        'GraphQL': ['graphql', 'gql'],
        'Markdown': ['md', 'mdx', 'markdown'],
        'Text': ['txt', 'rst', 'log', 'adoc'],
        'JSON': ['json', 'jsonc', 'jsonl', 'json5'],
        'YAML': ['yaml', 'yml'],
        'TOML': ['toml'],
        'XML': ['xml', 'svg', 'csproj', 'props'],
        'CSV': ['csv', 'tsv'],
        'Image': ['png', 'jpg', 'jpeg', 'gif', 'webp', 'ico'],
    } -%}
    case
        when {{ path }} is null then 'none'
        when regexp_matches({{ path }}, '(?i)(?:^|[/\\])dockerfile[^/\\]*$') then 'Docker'
        when regexp_matches({{ path }}, '(?i)(?:^|[/\\])makefile$') then 'Make'
        when {{ extension }} is null then 'none'
        {%- for name, extensions in languages.items() %}
        when {{ extension }} in ('{{ extensions | join("', '") }}') then '{{ name }}'
        {%- endfor %}
        else 'other'
    end
{%- endmacro %}
