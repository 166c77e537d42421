"""The page of a verification: clients and components as a matrix, and what Prometheus reports."""
