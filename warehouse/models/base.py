"""What all models share."""

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Double, LargeBinary, MetaData, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """Column types that all tables share."""

    metadata = MetaData()
    type_annotation_map = {  # noqa: RUF012 - read by SQLAlchemy when the class is made
        str: Text(),
        float: Double(),
        datetime: DateTime(timezone=True),
        list[str]: ARRAY(Text()),
        dict[str, Any]: JSONB(),
        list[dict[str, Any]]: JSONB(),
        bytes: LargeBinary(),
    }


OPS = {"schema": "ops"}
ML = {"schema": "ml"}
