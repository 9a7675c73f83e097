-- Every finding's evidence is a call or response of its session, as many as it counts.
with

evidence as (

    select
        waste_key,
        session_id,
        occurrence_count,
        unnest(evidence_keys) as evidence_key
    from {{ ref('agg_waste') }}

),

facts as (

    select
        session_id,
        tool_call_key as evidence_key
    from {{ ref('fct_tool_calls') }}
    union all
    select
        session_id,
        message_key
    from {{ ref('fct_messages') }}

)

select
    evidence.waste_key,
    any_value(evidence.occurrence_count) as occurrence_count,
    count(facts.evidence_key) as evidence_found
from evidence
left join facts
    on evidence.session_id = facts.session_id
    and evidence.evidence_key = facts.evidence_key
group by evidence.waste_key
having count(facts.evidence_key) <> any_value(evidence.occurrence_count)
