case
    when grain.day_count > 400 then date_trunc('month', {{column}})::date
    when grain.day_count > 93 then date_trunc('week', {{column}})::date
    else {{column}}
end
