with

activity as (

    select
        fct_messages.created_date_key,
        fct_messages.project_id,
        dim_date.day_of_week,
        dim_date.day_name,
        fct_messages.created_hour,
        count(*) as message_count
    from fct_messages
    inner join dim_date
        on fct_messages.created_date_key = dim_date.date_key
    where
        not fct_messages.is_sidechain
        and fct_messages.message_kind in ('prompt', 'slash_command', 'response')
        [[and fct_messages.created_date_key in (select date_key from dim_date where {{date}})]]
        [[and fct_messages.project_id in (select project_id from dim_projects where {{project}})]]
        [[and fct_messages.session_id in (select session_id from dim_sessions where {{machine}})]]
        [[and fct_messages.session_id in (select session_id from dim_sessions where {{person}})]]
    group by
        fct_messages.created_date_key,
        fct_messages.project_id,
        dim_date.day_of_week,
        dim_date.day_name,
        fct_messages.created_hour

),

hours as (

    select
        day_of_week,
        day_name,
        hour_of_day
    from agg_hourly_activity

),

counted as (

    select
        day_of_week,
        created_hour,
        sum(message_count) as message_count
    from activity
    group by
        day_of_week,
        created_hour

)

select
    hours.day_name,
    hours.hour_of_day,
    coalesce(counted.message_count, 0) as message_count
from hours
left join counted
    on hours.day_of_week = counted.day_of_week
    and hours.hour_of_day = counted.created_hour
order by
    hours.day_of_week,
    hours.hour_of_day
