[[and project_id in (select project_id from dim_projects where {{project}})]]
[[and session_id in (select session_id from dim_sessions where {{machine}})]]
[[and session_id in (select session_id from dim_sessions where {{person}})]]
