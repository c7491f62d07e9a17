# The ledger: an append-only log, in a bucket where entries can be created and never changed,
# and nothing can be deleted.

resource "aws_s3_bucket" "ledger" {
  #checkov:skip=CKV_AWS_18:Who wrote is in every entry, and CloudTrail has the rest; access logs would need a second bucket
  #checkov:skip=CKV_AWS_144:A copy of the ledger elsewhere must never be acted upon; versions and the denied deletion keep this one
  #checkov:skip=CKV_AWS_145:Encrypted with the key that kms_key_arn names; S3's own encryption is enough for dates and ARNs
  #checkov:skip=CKV2_AWS_62:Nobody needs to be told of entries; the daemon tells by its metrics
  bucket        = var.ledger_bucket
  force_destroy = false
  tags          = var.tags

  object_lock_enabled = var.ledger_lock_days != null

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "ledger" {
  bucket = aws_s3_bucket.ledger.id

  versioning_configuration {
    status = "Enabled"
  }
}

# The sign of life and the checkpoints are overwritten: each of their versions is locked as well,
# and the lifecycle rule below removes it when its lock has ended.
resource "aws_s3_bucket_object_lock_configuration" "ledger" {
  count = var.ledger_lock_days == null ? 0 : 1

  bucket = aws_s3_bucket.ledger.id

  rule {
    default_retention {
      mode = "COMPLIANCE"
      days = var.ledger_lock_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.ledger]
}

resource "aws_s3_bucket_server_side_encryption_configuration" "ledger" {
  bucket = aws_s3_bucket.ledger.id

  rule {
    bucket_key_enabled = var.kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "ledger" {
  bucket = aws_s3_bucket.ledger.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "ledger" {
  bucket = aws_s3_bucket.ledger.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_policy" "ledger" {
  bucket = aws_s3_bucket.ledger.id
  policy = local.policies["ledger-bucket"]

  depends_on = [aws_s3_bucket_public_access_block.ledger]
}

# The sign of life is written every few seconds; its old versions are worth nothing. Entries are
# written once, so this never touches them.
resource "aws_s3_bucket_lifecycle_configuration" "ledger" {
  bucket = aws_s3_bucket.ledger.id

  dynamic "rule" {
    for_each = { sign-of-life = "acting.json", checkpoints = "checkpoint/" }

    content {
      id     = rule.key
      status = "Enabled"

      filter {
        prefix = "${var.ledger_prefix}/${rule.value}"
      }

      noncurrent_version_expiration {
        noncurrent_days = 7
      }
    }
  }

  rule {
    id     = "unfinished-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.ledger]
}
