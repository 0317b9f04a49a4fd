"""From raw monthly files to the sales table and the quarantine, with Spark."""
