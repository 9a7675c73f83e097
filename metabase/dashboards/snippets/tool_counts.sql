count(*) as call_count,
count(*) filter (where status <> 'pending') as finished_count,
count(*) filter (where status = 'success') as success_count,
count(*) filter (where status = 'error') as error_count,
count(*) filter (where status = 'rejected') as rejected_count,
count(*) filter (where status = 'interrupted') as interrupted_count,
count(*) filter (where status = 'pending') as pending_count,
count(*) filter (where is_retry_followed) as retried_count
