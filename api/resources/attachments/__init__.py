"""`/v1/attachments`: files up and down."""
