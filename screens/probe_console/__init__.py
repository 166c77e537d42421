"""The probe console: a request builder, and the result of the request."""
