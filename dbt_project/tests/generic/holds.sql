{# The condition is true of every row; where it is neither true nor false, it does not hold. #}
{% test holds(model, condition) %}

select *
from {{ model }}
where not coalesce({{ condition }}, false)

{% endtest %}
