"""What generated histories are made of: Claude Code versions, models, projects, prompts, files and texts."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Era:
    """How a range of Claude Code versions writes."""

    versions: tuple[str, ...]
    until: float  # share of the history's span at which the next era has taken over
    final_lines: str  # which lines of a main-chain response carry its final output and stop_reason: none, last or all
    final_side_lines: str  # the same for sub-agents
    subagents: str  # where sub-agents are written: inline, beside or folder
    embeds_progress: bool  # agent_progress entries embed sub-agent entries, hooks report as progress
    has_attachments: bool  # hooks and queued prompts are attachments, most cache writes last an hour
    marks_origin: bool  # origin, promptSource and toolDenialKind say who did what
    splits_cache_writes: bool  # usage says how long cache writes last
    agent_tool: str


ERAS = [
    Era(("1.0.17", "1.0.24"), 0.07, "none", "none", "inline", False, False, False, False, "Task"),
    Era(("2.1.0", "2.1.1"), 0.14, "none", "none", "beside", False, False, False, True, "Task"),
    Era(("2.1.38", "2.1.39"), 0.30, "none", "none", "folder", True, False, False, True, "Task"),
    Era(("2.1.79", "2.1.80"), 0.46, "last", "none", "folder", True, False, False, True, "Agent"),
    Era(("2.1.112", "2.1.119"), 0.68, "all", "none", "folder", False, True, False, True, "Agent"),
    Era(("2.1.229", "2.1.237"), 1.01, "all", "all", "folder", False, True, True, True, "Agent"),
]


@dataclass(frozen=True)
class Model:
    """A model and how often it is chosen at the beginning and at the end of the history."""

    name: str
    early: float
    late: float
    is_gateway: bool = False  # another vendor's: no requestId, no message id at times, no price


GATEWAY_MODEL = "house-coder-2"
MODELS = [
    Model("claude-opus-4-5-20251101", 0.26, 0.00),
    Model("claude-sonnet-4-5-20250929", 0.24, 0.02),
    Model("claude-opus-4-6", 0.28, 0.06),
    Model("claude-opus-4-8", 0.04, 0.12),
    Model("claude-opus-5", 0.06, 0.38),
    Model("claude-sonnet-5-5", 0.06, 0.32),
    Model("claude-haiku-5-5", 0.02, 0.05),
    Model(GATEWAY_MODEL, 0.03, 0.03, is_gateway=True),
]
FAST_MODELS = {"claude-opus-4-6", "claude-opus-4-8"}
# the same models by way of Bedrock and of a router
OTHER_IDS = {"claude-opus-4-6": "us.anthropic.claude-opus-4-6-v1:0", "claude-opus-4-8": "anthropic/claude-opus-4.8"}
# a tenth more when computed in the US: Anthropic's own ids from 4.6 on
US_MODELS = {
    *("claude-opus-4-6", "claude-opus-4-8", "claude-opus-5", "claude-sonnet-5-5", "claude-haiku-5-5"),
    "anthropic/claude-opus-4.8",
}
ADVISOR_MODEL = "claude-opus-5"
SUBAGENT_MODELS = ("claude-haiku-4-5-20251001", "claude-haiku-5-5")  # early, late; of sub-agents that explore

SUBAGENTS = ["Explore", "Explore", "Explore", "general-purpose", "Plan", "code-reviewer"]


@dataclass(frozen=True)
class Project:
    """A directory somebody works in."""

    path: str
    branches: tuple[str, ...]
    weight: float
    files: tuple[tuple[str, str], ...]  # path, language
    commands: tuple[str, ...]
    tasks: tuple[tuple[str, str], ...]  # prompt, title
    folders: tuple[str, ...] = field(default=("src",))  # where Claude Code also works from

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]


_SHOP = Project(
    "/home/ada/work/storefront",
    ("main", "feat/checkout-redesign", "fix/cart-rounding"),
    0.30,
    (
        ("web/components/Cart.tsx", "TypeScript"),
        ("web/components/Checkout.tsx", "TypeScript"),
        ("web/lib/money.ts", "TypeScript"),
        ("web/lib/money.test.ts", "TypeScript"),
        ("web/styles/theme.css", "CSS"),
        ("web/pages/orders.tsx", "TypeScript"),
        ("package.json", "JSON"),
        ("README.md", "Markdown"),
    ),
    ("npm test", "npm run build", "npm run lint", "npx tsc --noEmit", "git status --short", "git diff --stat"),
    (
        ("the cart total is off by one cent for three items at 33.33, find out why and fix it", "Fix cart rounding"),
        ("redesign the checkout page so that address and payment are one step", "One-step checkout"),
        ("add pagination to the orders page, 50 a page, keep the filters in the URL", "Paginate orders"),
        ("implement dark mode for the settings page", "Dark mode for settings"),
        ("look at this screenshot and tell me what is misaligned", "Align the header"),
        ("why does the product page take four seconds to load?", "Speed up the product page"),
        ("write tests for the currency rounding", "Currency rounding tests"),
    ),
    ("web", "web/components"),
)
_BILLING = Project(
    "/home/ada/work/billing-api",
    ("main", "feat/credit-notes", "fix/idempotency"),
    0.26,
    (
        ("src/billing/api.py", "Python"),
        ("src/billing/models.py", "Python"),
        ("src/billing/invoices.py", "Python"),
        ("tests/test_invoices.py", "Python"),
        ("migrations/0042_credit_notes.sql", "SQL"),
        ("pyproject.toml", "TOML"),
        ("Dockerfile", "Docker"),
        ("docs/api.md", "Markdown"),
    ),
    ("pytest -q", "ruff check .", "mypy src", "git status --short", "git log --oneline -5", "docker compose ps"),
    (
        ("customers get two invoices when the webhook is retried, make it idempotent", "Idempotent webhooks"),
        ("add credit notes: model, migration, endpoint, tests", "Credit notes"),
        ("rename customer_id to account_id everywhere", "Rename customer to account"),
        ("explain how the retry queue works", "How the retry queue works"),
        ("the login test fails on CI but not here", "Flaky login test"),
        ("refactor the session store so that it has one writer", "Single-writer session store"),
        ("review the diff before I push it", "Review before push"),
    ),
    ("src/billing", "tests"),
)
_WAREHOUSE = Project(
    "/home/ada/data/warehouse",
    ("main", "nightly-import"),
    0.16,
    (
        ("models/marts/fct_orders.sql", "SQL"),
        ("models/staging/stg_payments.sql", "SQL"),
        ("models/marts/_marts.yml", "YAML"),
        ("scripts/import.sh", "Shell"),
        ("scripts/backfill.py", "Python"),
        ("analysis/cohorts.ipynb", "Jupyter"),
    ),
    ("dbt build -s fct_orders", "dbt test", "duckdb dev.db -c 'select count(*) from fct_orders'", "ls -la data"),
    (
        ("the nightly import takes two hours, can you speed it up?", "Nightly import performance"),
        ("orders in the warehouse do not match the shop's, reconcile October", "Reconcile October orders"),
        ("create a mart with monthly cohorts", "Monthly cohorts"),
        ("document every column of fct_orders", "Document fct_orders"),
    ),
    ("models", "scripts"),
)
_MOBILE = Project(
    "/home/ada/work/mobile-app",
    ("main", "release/4.2"),
    0.10,
    (
        ("app/src/main/kotlin/Login.kt", "Kotlin"),
        ("app/src/main/kotlin/Cart.kt", "Kotlin"),
        ("ios/App/LoginView.swift", "Swift"),
        ("CHANGELOG.md", "Markdown"),
    ),
    ("./gradlew test", "./gradlew assembleDebug", "git status --short"),
    (
        ("the app crashes on rotation in the login screen", "Crash on rotation"),
        ("prepare release 4.2: changelog, version, tag", "Release 4.2"),
        ("add biometric login behind a flag", "Biometric login"),
    ),
    ("app",),
)
_INFRA = Project(
    "/home/ada/work/infra",
    ("main",),
    0.10,
    (
        ("terraform/network.tf", "Terraform"),
        ("terraform/database.tf", "Terraform"),
        ("ansible/site.yml", "YAML"),
        ("bin/rotate-logs.sh", "Shell"),
        ("Makefile", "Make"),
    ),
    ("terraform plan", "terraform validate", "kubectl get pods -n shop", "make lint"),
    (
        ("move the database to the new subnet without downtime", "Database to the new subnet"),
        ("deploy the staging branch and watch the logs", "Deploy staging"),
        ("the disk of the log server fills up every Sunday", "Rotate logs"),
    ),
    ("terraform",),
)
_DOCS = Project(
    "/home/ada/notes/docs-site",
    ("main",),
    0.08,
    (("docs/index.md", "Markdown"), ("docs/install.md", "Markdown"), ("src/theme.rs", "Rust"), ("book.toml", "TOML")),
    ("mdbook build", "cargo test", "ls docs"),
    (
        ("update the README with the new environment variables", "Environment variables"),
        ("write an installation page for Windows", "Install on Windows"),
    ),
    ("docs",),
)


def _worktree(project: Project, path: str, branch: str, weight: float) -> Project:
    return Project(path, (branch,), weight, project.files, project.commands, project.tasks, ())


PROJECTS = [
    _SHOP,
    _BILLING,
    _WAREHOUSE,
    _MOBILE,
    _INFRA,
    _DOCS,
    _worktree(_SHOP, f"{_SHOP.path}/.claude/worktrees/checkout-redesign", "checkout-redesign", 0.06),
    _worktree(_BILLING, f"{_BILLING.path}-worktrees/invoices", "invoices", 0.04),
]

FOLLOW_UPS = [
    "yes, go on",
    "looks good, now add a test for the empty case",
    "that broke the other screen, have a look",
    "please use the helper in lib instead of writing it again",
    "commit this and open a pull request",
    "why did you change that file?",
    "can you make the error message clearer?",
    "run the whole test suite once more",
    "undo the last change, keep the test",
    "explain the trade-off in two sentences",
    "ok. what is left to do?",
    "now the same for the admin page",
    "use the existing fixture",
    "I get this in the browser console:\n\nTypeError: cannot read properties of undefined (reading 'total')",
    "the types are wrong, it should be nullable",
    "simplify it, nobody needs three classes here",
    "document that in the README",
    "what happens when the list is empty?",
    "rename it, 'handler2' says nothing",
    "great, deploy it to staging",
]
QUEUED = [
    "also set the timeout to {} seconds",
    "and keep line {} as it is",
    "use port {} instead",
    "skip ticket {}, it is done already",
    "there is a comment about this in issue {}",
]
AUTOMATED = [
    "Summarise yesterday's failed jobs and say which of them to rerun.",
    "Check the changed files for missing translations. Answer with a list.",
    "Write release notes from the merged pull requests of the week.",
]
# who wrote it, the text, and what else the line says
WRITTEN_BY_OTHERS = [
    ("teammate_message", '<teammate-message teammate_id="reviewer">Looks good.</teammate-message>', b""),
    (
        "teammate_message",
        'Another Claude session sent a message:\n<teammate-message teammate_id="tests">All green.</teammate-message>',
        b"",
    ),
    ("teammate_message", "The schema is done.", b',"origin":{"kind":"peer"}'),
    ("scheduled", '<scheduled-task name="nightly">Check the builds</scheduled-task>', b""),
    ("channel", '<channel source="chat">Is it deployed?</channel>', b""),
    ("meta", "<system-reminder>The date has changed.</system-reminder>", b""),
    ("meta", "Background work is done.", b',"promptSource":"system"'),
]
TITLE_FIRST_TRY = "New session"

ANSWERS = [
    "Done. The tests pass and the change is limited to the two files.",
    "The total differs because rounding happens per line. I moved it to the end.",
    "I found the cause: the cache key leaves out the currency.\n\n```python\nkey = (user, currency)\n```",
    "Here is the plan. Shall I go on?",
    "All set. I left the old endpoint in place and marked it deprecated.",
    "The failing test expects the old name. I renamed it there too; everything is green now.",
    "Two things are left: the migration and the documentation.",
]
REMARKS = [
    "I'll look at the code first.",
    "Let me check how this is used elsewhere.",
    "Now the test.",
    "That did not work; the path is relative to the package.",
    "Let me run the tests.",
    "Found it. I'll fix the rounding.",
]
COMMIT_MESSAGES = ["Round totals once", "Make the webhook idempotent", "Add credit notes", "Tidy up", "Fix typo"]
QUERIES = ["stripe webhook retries idempotency key", "postgres add column without lock", "react useTransition example"]
PATTERNS = ["roundHalf", "account_id", "def create_invoice", "useCart\\(", "TODO|FIXME", "timeout"]
SERVER_TOOLS = [
    "mcp__github__list_issues",
    "mcp__github__get_pull_request",
    "mcp__playwright__browser_click",
    "mcp__linear__search",
]

# Lines that file contents, patches and outputs are made of.
CODE = [
    "import { round } from './money'",
    "def total(lines: list[Line]) -> Decimal:",
    '    """Sum of all lines, rounded once."""',
    "    return sum((line.price * line.quantity for line in lines), Decimal(0))",
    "",
    "class Invoice(Base):",
    "    id: Mapped[int] = mapped_column(primary_key=True)",
    "    account_id: Mapped[int] = mapped_column(ForeignKey('accounts.id'))",
    "select order_id, sum(amount) as amount from payments group by order_id",
    "const items = useCart((state) => state.items)",
    "  if (!items.length) return <Empty />",
    "    assert total(lines) == Decimal('99.99')",
    "logger.info('imported %s rows in %.1f s', rows, seconds)",
    "# retried deliveries carry the same key",
    'resource "aws_subnet" "db" {',
    '  cidr_block = "10.0.12.0/24"',
    "}",
    "for path in sorted(folder.glob('*.csv')):",
    "    rows += load(path)",
    "- Ändere nichts an der Reihenfolge (größte zuerst) 🙂",
]
OUTPUT = [
    "tests/test_invoices.py .................... [ 42%]",
    "tests/test_totals.py ........... [ 68%]",
    " M src/billing/invoices.py",
    "?? web/components/Cart.tsx",
    "drwxr-xr-x  6 ada ada 4096 Oct 12 09:14 src",
    "✓ compiled 214 modules in 3.1 s",
    "warning: unused variable `theme`",
    "PASS web/lib/money.test.ts (1.204 s)",
    "web/lib/money.ts:41:export function roundHalfEven(value: number): number {",
    "8 passed, 1 skipped in 2.31s",
]

# error class, tools it happens to, text of the result
ERRORS = [
    ("command_failed", ("Bash",), "Exit code 1\nFAILED tests/test_rounding.py::test_half_up - assert 3 == 4"),
    ("command_failed", ("Bash",), "Exit code 127\n/bin/bash: line 1: pnpm: command not found"),
    ("command_failed", ("Bash",), "Exit code 2\nconnect ECONNREFUSED 127.0.0.1:5432"),
    (
        "file_not_read_first",
        ("Edit", "Write"),
        "<tool_use_error>File has not been read yet. Read it first before writing to it.</tool_use_error>",
    ),
    (
        "string_not_found",
        ("Edit",),
        "<tool_use_error>String to replace not found in file.\nString: total</tool_use_error>",
    ),
    ("file_not_found", ("Read",), "<tool_use_error>File does not exist.</tool_use_error>"),
    ("timeout", ("Bash",), "Command timed out after 2m 0.0s"),
    ("network", ("WebFetch",), "getaddrinfo ENOTFOUND example.org"),
    ("validation", ("Grep",), "<tool_use_error>InputValidationError: Grep failed: pattern is missing</tool_use_error>"),
    ("cancelled_parallel_call", ("Bash", "Read"), "Cancelled: parallel tool call Read(src/total.py) errored"),
    ("blocked_by_hook", ("Bash",), "PreToolUse:Bash hook error: [guard.sh]: not on main"),
    (
        "permission_denied",
        ("Write",),
        "Claude requested permissions to write to the file, but you haven't granted it yet.",
    ),
    ("other", ("Skill",), "<tool_use_error>Unknown skill: ship-it</tool_use_error>"),
]
DENIAL = (
    "Permission for this tool use was denied. The tool use was rejected (eg. if it was a file edit, it was not made)."
)
REJECTION = (
    "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was a file edit, "
    "the new_string was NOT written to the file). STOP what you are doing and wait for the user to tell you how "
    "to proceed."
)
