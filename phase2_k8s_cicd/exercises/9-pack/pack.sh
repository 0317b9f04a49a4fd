#!/bin/bash
# Exercise 9: packs the reports in FROM into INTO/rollouts.tar.gz, and says how many. On its author's computer it works.
from=$1
into=$2
parts=${TMPDIR:-/tmp}/pack

mkdir -p $parts
cp $from/*.json $parts
cd $parts
tar -cf - *.json | gzip > $into/rollouts.tar.gz
echo "✓ $(ls | wc -l) reports are packed"
rm -r $parts
