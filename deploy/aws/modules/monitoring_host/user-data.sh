#!/bin/sh
# First start of the monitoring host: attach and mount the disk, take rules and dashboards from
# the bucket, start the three programs from the packages baked into the image.
set -eu
token=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' http://169.254.169.254/latest/api/token)
instance=$(curl -sf -H "X-aws-ec2-metadata-token: $token" http://169.254.169.254/latest/meta-data/instance-id)
aws ec2 attach-volume --region ${region} --volume-id ${volume} --instance-id "$instance" --device /dev/sdf
until [ -e /dev/nvme1n1 ]; do sleep 2; done
blkid /dev/nvme1n1 >/dev/null || mkfs.xfs /dev/nvme1n1
mkdir -p /var/lib/florin-monitoring
mount /dev/nvme1n1 /var/lib/florin-monitoring
aws s3 cp --region ${region} --recursive s3://${bucket}/monitoring/ /etc/florin-monitoring/
systemctl enable --now prometheus alertmanager grafana-server
