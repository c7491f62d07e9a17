# Fills in the templates of deploy/iam for one pipeline, as deploy/iam/render.py does: a text with a
# name in it stands once for every value of the name, and a statement without a resource is left out.

variable "names" {
  description = "The pipeline's names: each a text, a list of texts, or null."
  type        = any
}

locals {
  blocks = ["observe", "ledger", "heal", "repair", "hold", "upload", "purge", "ledger-bucket", "dead-man"]

  # Name => its values, none for null.
  values = { for name, value in var.names : name => [for one in flatten([value]) : one if one != null] }

  templates = { for block in local.blocks : block => jsondecode(file("${path.module}/../../iam/${block}.json")).Statement }

  texts = distinct(flatten([
    for statements in values(local.templates) : [
      for statement in statements : [
        statement.Resource,
        try([for asked in values(statement.Condition) : values(asked)], []),
      ]
    ]
  ]))

  # Text => the names in it. No text has more than four.
  names_in = { for text in local.texts : text => distinct(flatten(regexall("[$][{]([a-z_]+)[}]", text))) }

  # Text => what it stands for.
  filled = {
    for text, names in local.names_in : text => [
      for chosen in setproduct([""], [""], [for name in names : local.values[name]]...) :
      replace(replace(replace(replace(text,
        "$${${try(names[0], "")}}", try(chosen[2], "")),
        "$${${try(names[1], "")}}", try(chosen[3], "")),
        "$${${try(names[2], "")}}", try(chosen[4], "")),
      "$${${try(names[3], "")}}", try(chosen[5], ""))
    ]
  }

  statements = {
    for block, statements in local.templates : block => [
      for statement in statements : merge(
        statement,
        { Resource = flatten([for text in flatten([statement.Resource]) : local.filled[text]]) },
        try({
          Condition = {
            for operator, asked in statement.Condition : operator => {
              for key, texts in asked : key => flatten([for text in flatten([texts]) : local.filled[text]])
            }
          }
        }, {}),
      )
    ]
  }
}

output "statements" {
  description = "Every block's statements, by the block's name."
  value = {
    for block, statements in local.statements : block => [
      for statement in statements : statement if length(statement.Resource) > 0
    ]
  }
}
