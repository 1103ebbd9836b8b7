"""Jobs in DynamoDB: the JobStore port on two tables, one for live streams, one for clips and videos."""
