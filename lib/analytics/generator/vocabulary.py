"""Words, files and eras that generated histories are made of; their frequencies follow real transcripts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Era:
    """How a Claude Code version writes."""

    version: str
    weight: float
    final_lines: str  # which lines of a response carry its final output and stop_reason: none, last or all
    subagents: str  # where sub-agents are written: inline, beside or folder
    progress: bool  # agent_progress entries embed sub-agent entries
    attachments: bool
    marks_origin: bool  # origin, promptSource and toolDenialKind
    agent_tool: str


ERAS = [
    Era("1.0.17", 0.05, "none", "inline", False, False, False, "Task"),
    Era("2.1.1", 0.05, "none", "beside", False, False, False, "Task"),
    Era("2.1.39", 0.15, "none", "folder", True, False, False, "Task"),
    Era("2.1.80", 0.15, "last", "folder", True, False, False, "Agent"),
    Era("2.1.119", 0.25, "all", "folder", False, True, False, "Agent"),
    Era("2.1.229", 0.35, "all", "folder", False, True, True, "Agent"),
]

MODELS = [
    ("claude-opus-5", 0.38),
    ("claude-sonnet-5-5", 0.24),
    ("claude-opus-4-6", 0.12),
    ("claude-haiku-5-5", 0.10),
    ("claude-haiku-4-5-20251001", 0.07),
    ("claude-sonnet-4-5-20250929", 0.06),
    ("glm-5", 0.03),
]
FAST_MODELS = {"claude-opus-4-6"}

PROJECTS = [
    ("/home/ada/shop", "main"),
    ("/home/ada/billing-api", "main"),
    ("/home/ada/data/warehouse", "develop"),
    ("/home/ada/mobile-app", "main"),
    ("/home/ada/infra", "main"),
    ("/home/ada/docs-site", "main"),
    ("/home/ada/shop/.claude/worktrees/checkout-redesign", "checkout-redesign"),
    ("/home/ada/billing-api-worktrees/invoices", "invoices"),
]

PROMPTS = [
    "fix the failing login test",
    "why does the checkout total differ from the invoice?",
    "add pagination to the orders endpoint",
    "refactor the session store so that it has one writer",
    "write tests for the currency rounding",
    "review the diff before I push it",
    "update the README with the new environment variables",
    "deploy the staging branch and watch the logs",
    "explain how the retry queue works",
    "the build is broken on main, find out why",
    "implement dark mode for the settings page",
    "rename customer_id to account_id everywhere",
    "can you speed up the nightly import? it takes two hours",
    "look at this screenshot and tell me what is misaligned",
    "commit this and open a pull request",
    "create a migration that adds an index on created_at",
]
TITLES = [
    "Fix login test",
    "Reconcile checkout totals",
    "Paginate orders",
    "Single-writer session store",
    "Currency rounding tests",
    "Nightly import performance",
    "Dark mode for settings",
    "Rename customer to account",
]
ANSWERS = [
    "Done. The tests pass and the change is limited to the two files.",
    "The total differs because rounding happens per line. I moved it to the end.",
    "I found the cause: the cache key leaves out the currency.\n\n```python\nkey = (user, currency)\n```",
    "Here is the plan. Shall I go on?",
    "All set. I left the old endpoint in place and marked it deprecated.",
]
FILES = [
    ("src/orders/api.py", "Python"),
    ("src/orders/models.py", "Python"),
    ("web/components/Cart.tsx", "TypeScript"),
    ("web/styles/theme.css", "CSS"),
    ("migrations/0042_add_index.sql", "SQL"),
    ("internal/store/session.go", "Go"),
    ("scripts/import.sh", "Shell"),
    ("README.md", "Markdown"),
    ("config/settings.yaml", "YAML"),
    ("tests/test_rounding.py", "Python"),
    ("Dockerfile", "Docker"),
    ("src/lib.rs", "Rust"),
]
COMMANDS = ["pytest -q", "git status", "ls -la", "npm run build", "go test ./...", "rg TODO src", "cat README.md"]
SERVER_TOOLS = ["mcp__github__list_issues", "mcp__playwright__browser_click"]

# (error class, tool, text of the result)
ERRORS = [
    ("command_failed", "Bash", "Exit code 1\nFAILED tests/test_rounding.py::test_half_up"),
    ("file_not_read_first", "Edit", "<tool_use_error>File has not been read yet. Read it first.</tool_use_error>"),
    ("string_not_found", "Edit", "<tool_use_error>String to replace not found in file.</tool_use_error>"),
    ("file_not_found", "Read", "<tool_use_error>File does not exist.</tool_use_error>"),
    ("timeout", "Bash", "Command timed out after 2m 0.0s"),
    ("network", "WebFetch", "getaddrinfo ENOTFOUND example.org"),
    ("validation", "Grep", "<tool_use_error>InputValidationError: pattern is required</tool_use_error>"),
    ("cancelled_parallel_call", "Bash", "Cancelled: parallel tool call Read(src/a.py) errored"),
    ("blocked_by_hook", "Bash", "PreToolUse:Bash hook error: [guard]: not on main"),
    ("other", "Skill", "Unknown skill: ship-it"),
]
REJECTION = (
    "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was a file edit, "
    "the new_string was NOT written to the file). STOP what you are doing and wait for the user to tell you how "
    "to proceed."
)
