# Run by MiniStack at every start: after a crash it has forgotten queues, tables and buckets.
export HALYARD_ENV=local AWS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_REGION=$MINISTACK_REGION HALYARD_TEMPLATE=/usr/share/halyard/template.yaml
exec /usr/local/bin/halyard prepare --queues-and-tables
