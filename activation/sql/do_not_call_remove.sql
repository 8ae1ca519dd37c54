-- Takes off the list who is not in the file any more.
delete from ops.do_not_call
where
    list_name = %(list_name)s
    and not exists (
        select 1
        from listed
        where listed.address = do_not_call.address
    )
