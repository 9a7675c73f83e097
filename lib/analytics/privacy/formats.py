"""Formats of secrets: what a vendor's token looks like. A vocabulary.

https://github.com/gitleaks/gitleaks/blob/master/config/gitleaks.toml and the vendors' pages.
"""

from __future__ import annotations

import re

_W = r"[A-Za-z0-9_-]"  # the alphabet of most tokens

# kind, a text that stands in every token of that format (found first, it is cheap), the format
FORMATS: tuple[tuple[str, str, str], ...] = (
    ("anthropic_key", "sk-ant-", rf"sk-ant-{_W}{{20,}}"),
    ("openrouter_key", "sk-or-", r"sk-or-(?:v1-)?[A-Za-z0-9]{32,}"),
    ("openai_key", "sk-", rf"sk-(?:proj|svcacct|admin|None)-{_W}{{20,}}"),
    ("openai_key", "sk-", r"sk-[A-Za-z0-9]{32,}"),
    ("aws_access_key_id", "AKIA", r"AKIA[A-Z0-9]{16}(?!(?!__)[A-Za-z0-9+/=_-])"),
    ("aws_access_key_id", "ASIA", r"ASIA[A-Z0-9]{16}(?!(?!__)[A-Za-z0-9+/=_-])"),
    ("github_token", "gh", r"gh[pousr]_[A-Za-z0-9]{36,}"),
    ("github_token", "github_pat_", r"github_pat_[A-Za-z0-9_]{22,}"),
    ("gitlab_token", "gl", rf"gl(?:pat|dt|rt|rtr|ptt|ft|imt|agent|soat|cbt|oas|wt)-{_W}{{20,}}(?:\.{_W}+)*"),
    ("slack_token", "xox", r"xox[abeoprs](?:\.xox[a-z])?-[A-Za-z0-9-]{10,}"),
    ("slack_token", "xapp-", r"xapp-[0-9]-[A-Za-z0-9-]{20,}"),
    (
        "slack_webhook",
        "hooks.slack.com/",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{20,}",
    ),
    ("discord_webhook", "/api/webhooks/", rf"discord(?:app)?\.com/api/webhooks/[0-9]{{15,}}/{_W}{{40,}}"),
    ("stripe_key", "k_live_", r"[sr]k_live_[A-Za-z0-9]{10,}"),
    ("stripe_key", "k_test_", r"[sr]k_test_[A-Za-z0-9]{10,}"),
    ("stripe_key", "whsec_", r"whsec_[A-Za-z0-9+/]{24,}={0,2}"),
    ("google_api_key", "AIza", r"AIza[A-Za-z0-9_-]{35}(?!(?!__)[A-Za-z0-9+/=_-])"),
    ("google_oauth_token", "GOCSPX-", rf"GOCSPX-{_W}{{24,}}"),
    ("google_oauth_token", "ya29.", rf"ya29\.{_W}{{20,}}"),
    ("google_oauth_token", "1//0", rf"1//0{_W}{{40,}}"),
    ("npm_token", "npm_", r"npm_[A-Za-z0-9]{36,}"),
    ("pypi_token", "pypi-", rf"pypi-{_W}{{50,}}"),
    ("huggingface_token", "hf_", r"hf_[A-Za-z0-9]{30,}"),
    ("huggingface_token", "api_org_", r"api_org_[A-Za-z0-9]{30,}"),
    ("sendgrid_key", "SG.", rf"SG\.{_W}{{16,32}}\.{_W}{{16,64}}"),
    ("twilio_key", "SK", r"SK[0-9a-f]{32}(?![A-Za-z0-9])"),
    ("telegram_bot_token", ":A", rf"[0-9]{{8,10}}:A{_W}{{34}}(?!(?!__)[A-Za-z0-9_-])"),
    ("azure_client_secret", "8Q~", r"[A-Za-z0-9_~.-]{3}8Q~[A-Za-z0-9_~.-]{31,34}"),
    ("digitalocean_token", "_v1_", r"do[opr]_v1_[a-f0-9]{64}"),
    ("databricks_token", "dapi", r"dapi[a-f0-9]{32}(?:-[0-9])?(?![A-Za-z0-9])"),
    ("shopify_token", "shp", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    ("mailgun_key", "key-", r"key-[a-f0-9]{32}(?![A-Za-z0-9])"),
    ("mailchimp_key", "-us", r"[a-f0-9]{32}-us[0-9]{1,2}(?![A-Za-z0-9-])"),
    ("square_token", "sq0", rf"sq0[a-z]{{3}}-{_W}{{22,}}"),
    ("linear_key", "lin_api_", r"lin_api_[A-Za-z0-9]{32,}"),
    ("notion_token", "ntn_", r"ntn_[A-Za-z0-9]{40,}"),
    ("notion_token", "secret_", r"secret_[A-Za-z0-9]{43}(?![A-Za-z0-9])"),
    ("postman_key", "PMAK-", r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    ("grafana_token", "glsa_", r"glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}"),
    ("grafana_token", "glc_", r"glc_[A-Za-z0-9+/]{32,}={0,2}"),
    ("sentry_token", "sntry", r"sntry[su]_[A-Za-z0-9+/=_-]{40,}"),
    ("doppler_token", "dp.", r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{40,}"),
    ("vault_token", "hv", rf"hv[sb]\.{_W}{{24,}}"),
    ("terraform_token", ".atlasv1.", rf"[A-Za-z0-9]{{14}}\.atlasv1\.{_W}{{60,}}"),
    ("age_key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    ("groq_key", "gsk_", r"gsk_[A-Za-z0-9]{40,}"),
    ("xai_key", "xai-", r"xai-[A-Za-z0-9]{60,}"),
    ("replicate_token", "r8_", r"r8_[A-Za-z0-9]{37,}"),
    ("perplexity_key", "pplx-", r"pplx-[A-Za-z0-9]{40,}"),
    ("supabase_key", "sbp_", r"sbp_[a-f0-9]{40}"),
    ("supabase_key", "sb_secret_", rf"sb_secret_{_W}{{20,}}"),
    ("netlify_token", "nfp_", r"nfp_[A-Za-z0-9]{36,}"),
    ("planetscale_token", "pscale_", r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{32,}"),
    ("docker_token", "dckr_", rf"dckr_[po]at_{_W}{{27,}}"),
    ("atlassian_token", "ATATT3", r"ATATT3[A-Za-z0-9_=-]{60,}"),
    ("figma_token", "figd_", rf"figd_{_W}{{36,}}"),
    ("airtable_token", "pat", r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}"),
    ("newrelic_key", "NRAK-", r"NRAK-[A-Z0-9]{27}"),
    ("rubygems_key", "rubygems_", r"rubygems_[a-f0-9]{48}"),
    ("tailscale_key", "tskey-", r"tskey-[a-z]+-[A-Za-z0-9-]{20,}"),
    ("langsmith_key", "lsv2_", r"lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}"),
    ("alibaba_key_id", "LTAI", r"LTAI[A-Za-z0-9]{20}(?!(?!__)[A-Za-z0-9+/=_-])"),
    ("discord_token", ".", rf"[MNO]{_W}{{23,27}}\.{_W}{{6}}\.{_W}{{27,38}}(?!(?!__)[A-Za-z0-9_-])"),
    ("jwt", "eyJ", rf"eyJ{_W}{{10,4000}}\.eyJ{_W}{{10,}}\.{_W}*"),
)

# What must stand somewhere in a row for any of the above: short on purpose, the automaton stays small.
FORMAT_TRIGGER = "|".join(
    (
        r"sk-(?:ant|or|proj|svcacct|admin|None)-|sk-[A-Za-z0-9]{20}",
        r"A[KS]IA[A-Z0-9]{8}",
        r"gh[pousr]_[A-Za-z0-9]{20}",
        r"github_pat_",
        rf"gl(?:pat|dt|rt|rtr|ptt|ft|imt|agent|soat|cbt|oas|wt)-{_W}{{8}}",
        r"xox[abeoprs][.-]",
        r"xapp-[0-9]",
        r"hooks\.slack\.com/",
        r"/api/webhooks/",
        r"[sr]k_(?:live|test)_",
        r"whsec_[A-Za-z0-9]",
        rf"AIza{_W}{{8}}",
        r"GOCSPX-|ya29\.[A-Za-z0-9]|1//0[A-Za-z0-9]{4}",
        r"npm_[A-Za-z0-9]{12}",
        r"pypi-[A-Za-z0-9]{8}",
        r"hf_[A-Za-z0-9]{12}|api_org_[A-Za-z0-9]",
        rf"SG\.{_W}{{8}}",
        r"SK[0-9a-f]{12}",
        rf"[0-9]:A{_W}{{8}}",
        r"8Q~",
        r"do[opr]_v1_|dapi[a-f0-9]{8}|shp(?:at|ca|pa|ss)_|key-[a-f0-9]{8}|-us[0-9]",
        r"sq0[a-z]{3}-|lin_api_|ntn_[A-Za-z0-9]{8}|secret_[A-Za-z0-9]{16}|PMAK-|glsa_|glc_[A-Za-z0-9]{8}|sntry[su]_",
        r"dp\.(?:pt|st|ct|sa|scim|audit)\.|hv[sb]\.[A-Za-z0-9_-]{8}|\.atlasv1\.|AGE-SECRET-KEY-1",
        r"gsk_[A-Za-z0-9]{8}|xai-[A-Za-z0-9]{8}|r8_[A-Za-z0-9]{8}|pplx-|sbp_|sb_secret_|nfp_[A-Za-z0-9]|pscale_",
        r"dckr_[po]at_|ATATT3|figd_|pat[A-Za-z0-9]{14}\.|NRAK-|rubygems_[a-f0-9]|tskey-|lsv2_",
        r"LTAI[A-Za-z0-9]{8}",
        r"eyJ[A-Za-z0-9_-]{10,}\.eyJ",
        rf"\.{_W}{{6}}\.{_W}{{10}}",
    )
)

COMPILED = [(kind, literal, re.compile(pattern)) for kind, literal, pattern in FORMATS]
