"""The probe console: one request put together by hand, and its result."""
