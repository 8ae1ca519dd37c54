"""SQLAlchemy's view of the ``ops`` and ``ml`` tables; the migrations' SQL is what makes them.

All times are ``timestamptz``. A test holds the two against each other.
"""

from warehouse.models.base import Base
from warehouse.models.batches import Batch, BatchItem, Enrollment, EnrollmentEvent, Send
from warehouse.models.consent import (
    AutoReply,
    ConsentLog,
    DoNotCall,
    DoNotCallList,
    PhoneLine,
    Suppression,
)
from warehouse.models.crm import CrmAction, CrmWrite, WebhookEvent
from warehouse.models.ml import (
    FeatureBlock,
    LeadPrediction,
    LeadScore,
    LocationEvidence,
    OnlineScore,
    RulesModel,
    TargetModel,
    WatchFigure,
    WatchRun,
)
from warehouse.models.operations import (
    AuditEntry,
    ImportFile,
    LoadRun,
    QuarantinedRow,
    RateLimitBucket,
)

__all__ = [
    "AuditEntry",
    "AutoReply",
    "Base",
    "Batch",
    "BatchItem",
    "ConsentLog",
    "CrmAction",
    "CrmWrite",
    "DoNotCall",
    "DoNotCallList",
    "Enrollment",
    "EnrollmentEvent",
    "FeatureBlock",
    "ImportFile",
    "LeadPrediction",
    "LeadScore",
    "LoadRun",
    "LocationEvidence",
    "OnlineScore",
    "PhoneLine",
    "QuarantinedRow",
    "RateLimitBucket",
    "RulesModel",
    "Send",
    "Suppression",
    "TargetModel",
    "WatchFigure",
    "WatchRun",
    "WebhookEvent",
]
