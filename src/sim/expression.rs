//! Glue's partition expressions: a small, exact part of SQL's WHERE.
//!
//! ```text
//!   or      := and (OR and)*            and := not (AND not)*       not := NOT not | primary
//!   primary := ( or ) | column op literal | column [NOT] IN ( literal, … )
//!            | column [NOT] BETWEEN literal AND literal | column [NOT] LIKE 'pattern'
//!            | column IS [NOT] NULL
//! ```
//!
//! Strings compare as strings, and keys of a number type as numbers, as Glue does.
//! A number against a string key is an error here: in Glue it depends on the day.

use std::cmp::Ordering;

use super::error::{SimError, SimResult};

/// Longer expressions are refused.
const EXPRESSION_CHARACTERS: usize = 2048;

/// A parsed expression over a table's partition keys.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Or(Vec<Self>),
    And(Vec<Self>),
    Not(Box<Self>),
    Compare(usize, Operator, Literal),
    In(usize, Vec<Literal>),
    Between(usize, Literal, Literal),
    Like(usize, String),
    IsNull(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Text(String),
    Number(f64),
}

/// What Glue writes for a missing value.
const NULL_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

impl Expression {
    /// Parses an expression; what it does not understand is an error, as in Glue.
    pub(super) fn parse(text: &str, keys: &[(String, String)]) -> SimResult<Self> {
        if text.chars().count() > EXPRESSION_CHARACTERS {
            return Err(SimError::new(
                "ValidationException",
                400,
                "expression: Member must have length less than or equal to 2048",
            ));
        }
        let mut parser = Parser { tokens: tokens(text)?, at: 0, keys };
        let expression = parser.any_of()?;
        match parser.peek() {
            None => Ok(expression),
            Some(token) => Err(refused(format!("unexpected {token:?} in: {text}"))),
        }
    }

    /// Whether it holds for these values.
    pub(super) fn holds(&self, values: &[String]) -> bool {
        let value = |key: &usize| values.get(*key).map_or("", String::as_str);
        match self {
            Self::Or(parts) => parts.iter().any(|part| part.holds(values)),
            Self::And(parts) => parts.iter().all(|part| part.holds(values)),
            Self::Not(part) => !part.holds(values),
            Self::Compare(key, operator, literal) => {
                compare(value(key), literal).is_some_and(|order| operator.fits(order))
            }
            Self::In(key, literals) => {
                literals.iter().any(|literal| compare(value(key), literal) == Some(Ordering::Equal))
            }
            Self::Between(key, low, high) => {
                compare(value(key), low).is_some_and(Ordering::is_ge)
                    && compare(value(key), high).is_some_and(Ordering::is_le)
            }
            Self::Like(key, pattern) => like(value(key), pattern),
            Self::IsNull(key) => value(key) == NULL_VALUE,
        }
    }
}

impl Operator {
    fn fits(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

fn compare(value: &str, literal: &Literal) -> Option<Ordering> {
    match literal {
        Literal::Text(text) => Some(value.cmp(text.as_str())),
        Literal::Number(number) => value.parse::<f64>().ok()?.partial_cmp(number),
    }
}

/// SQL's LIKE: `%` for any characters, `_` for one.
fn like(value: &str, pattern: &str) -> bool {
    let mut characters = pattern.chars();
    let Some(first) = characters.next() else { return value.is_empty() };
    let rest = characters.as_str();
    match first {
        '%' => value.char_indices().any(|(at, _)| like(&value[at..], rest)) || like("", rest),
        '_' => value.chars().next().is_some_and(|c| like(&value[c.len_utf8()..], rest)),
        exact => value.strip_prefix(exact).is_some_and(|tail| like(tail, rest)),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(f64),
    Symbol(&'static str),
}

const SYMBOLS: [&str; 10] = ["<>", "!=", "<=", ">=", "=", "<", ">", "(", ")", ","];

fn tokens(text: &str) -> SimResult<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '\'' => text_token(rest)?,
            '0'..='9' | '-' => number_token(rest)?,
            c if c.is_alphabetic() || c == '_' || c == '"' || c == '`' => word_token(rest),
            _ => symbol_token(rest)?,
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn text_token(rest: &str) -> SimResult<(Token, usize)> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c != '\'' {
            text.push(c);
        } else if characters.peek().is_some_and(|(_, next)| *next == '\'') {
            text.push('\'');
            characters.next();
        } else {
            return Ok((Token::Text(text), at + 1));
        }
    }
    Err(refused(format!("a string does not end: {rest}")))
}

fn number_token(rest: &str) -> SimResult<(Token, usize)> {
    let numeric = |c: char| c.is_ascii_digit() || matches!(c, '-' | '.');
    let length = rest.find(|c| !numeric(c)).unwrap_or(rest.len());
    let number = rest[..length].parse().map_err(|_| refused(format!("no number: {rest}")))?;
    Ok((Token::Number(number), length))
}

fn word_token(rest: &str) -> (Token, usize) {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '"' | '`');
    let length = rest.find(|c| !part(c)).unwrap_or(rest.len());
    let word = rest[..length].trim_matches(['"', '`']);
    (Token::Word(word.to_owned()), length)
}

fn symbol_token(rest: &str) -> SimResult<(Token, usize)> {
    let symbol = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol));
    let symbol = symbol.ok_or_else(|| refused(format!("not understood: {rest}")))?;
    Ok((Token::Symbol(symbol), symbol.len()))
}

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    keys: &'a [(String, String)],
}

impl Parser<'_> {
    fn any_of(&mut self) -> SimResult<Expression> {
        let mut parts = vec![self.all_of()?];
        while self.takes_word("OR") {
            parts.push(self.all_of()?);
        }
        Ok(single_or(parts, Expression::Or))
    }

    fn all_of(&mut self) -> SimResult<Expression> {
        let mut parts = vec![self.negation()?];
        while self.takes_word("AND") {
            parts.push(self.negation()?);
        }
        Ok(single_or(parts, Expression::And))
    }

    fn negation(&mut self) -> SimResult<Expression> {
        if self.takes_word("NOT") {
            return Ok(Expression::Not(Box::new(self.negation()?)));
        }
        if self.takes_symbol("(") {
            let inner = self.any_of()?;
            self.expect_symbol(")")?;
            return Ok(inner);
        }
        self.condition()
    }

    fn condition(&mut self) -> SimResult<Expression> {
        let key = self.column()?;
        if self.takes_word("IS") {
            let negated = self.takes_word("NOT");
            self.expect_word("NULL")?;
            return Ok(negate_if(negated, Expression::IsNull(key)));
        }
        let negated = self.takes_word("NOT");
        if self.takes_word("IN") {
            let literals = self.list(key)?;
            return Ok(negate_if(negated, Expression::In(key, literals)));
        }
        if self.takes_word("BETWEEN") {
            let low = self.literal(key)?;
            self.expect_word("AND")?;
            let high = self.literal(key)?;
            return Ok(negate_if(negated, Expression::Between(key, low, high)));
        }
        if self.takes_word("LIKE") {
            let Literal::Text(pattern) = self.literal(key)? else {
                return Err(refused("LIKE needs a string"));
            };
            return Ok(negate_if(negated, Expression::Like(key, pattern)));
        }
        if negated {
            return Err(refused("NOT needs IN, BETWEEN or LIKE here"));
        }
        let operator = self.operator()?;
        Ok(Expression::Compare(key, operator, self.literal(key)?))
    }

    fn list(&mut self, key: usize) -> SimResult<Vec<Literal>> {
        self.expect_symbol("(")?;
        let mut literals = vec![self.literal(key)?];
        while self.takes_symbol(",") {
            literals.push(self.literal(key)?);
        }
        self.expect_symbol(")")?;
        Ok(literals)
    }

    fn column(&mut self) -> SimResult<usize> {
        let Some(Token::Word(word)) = self.next() else {
            return Err(refused("a column name was expected"));
        };
        let key = self.keys.iter().position(|(name, _)| name.eq_ignore_ascii_case(&word));
        key.ok_or_else(|| refused(format!("{word} is not a partition key")))
    }

    fn literal(&mut self, key: usize) -> SimResult<Literal> {
        let is_text = !is_number(&self.keys[key].1);
        match self.next() {
            Some(Token::Text(text)) if is_text => Ok(Literal::Text(text)),
            Some(Token::Text(text)) => {
                let number = text.parse().map_err(|_| refused(format!("no number: {text}")))?;
                Ok(Literal::Number(number))
            }
            Some(Token::Number(number)) if !is_text => Ok(Literal::Number(number)),
            Some(Token::Number(number)) => {
                Err(refused(format!("{number} is a number and the key is a string: quote it")))
            }
            Some(Token::Word(_) | Token::Symbol(_)) | None => Err(refused("a value was expected")),
        }
    }

    fn operator(&mut self) -> SimResult<Operator> {
        match self.next() {
            Some(Token::Symbol("=")) => Ok(Operator::Equal),
            Some(Token::Symbol("<>" | "!=")) => Ok(Operator::NotEqual),
            Some(Token::Symbol("<")) => Ok(Operator::Less),
            Some(Token::Symbol("<=")) => Ok(Operator::LessOrEqual),
            Some(Token::Symbol(">")) => Ok(Operator::Greater),
            Some(Token::Symbol(">=")) => Ok(Operator::GreaterOrEqual),
            token => Err(refused(format!("an operator was expected, not {token:?}"))),
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn takes(&mut self, fits: impl FnOnce(&Token) -> bool) -> bool {
        let taken = self.peek().is_some_and(fits);
        self.at += usize::from(taken);
        taken
    }

    fn takes_word(&mut self, word: &str) -> bool {
        self.takes(|token| matches!(token, Token::Word(found) if found.eq_ignore_ascii_case(word)))
    }

    fn takes_symbol(&mut self, symbol: &str) -> bool {
        self.takes(|token| matches!(token, Token::Symbol(found) if *found == symbol))
    }

    fn expect_word(&mut self, word: &str) -> SimResult<()> {
        if self.takes_word(word) { Ok(()) } else { Err(refused(format!("{word} was expected"))) }
    }

    fn expect_symbol(&mut self, symbol: &str) -> SimResult<()> {
        let taken = self.takes_symbol(symbol);
        if taken { Ok(()) } else { Err(refused(format!("{symbol} was expected"))) }
    }
}

fn is_number(kind: &str) -> bool {
    matches!(kind, "int" | "integer" | "bigint" | "long" | "tinyint" | "smallint" | "decimal")
}

fn single_or(
    mut parts: Vec<Expression>,
    many: impl FnOnce(Vec<Expression>) -> Expression,
) -> Expression {
    if parts.len() == 1 { parts.remove(0) } else { many(parts) }
}

fn negate_if(negated: bool, expression: Expression) -> Expression {
    if negated { Expression::Not(Box::new(expression)) } else { expression }
}

fn refused(why: impl std::fmt::Display) -> SimError {
    SimError::new("InvalidInputException", 400, format!("Unsupported expression: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Vec<(String, String)> {
        [("import_year", "int"), ("import_date", "string")]
            .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
            .into()
    }

    fn holds(text: &str) -> bool {
        let values = ["2026".to_owned(), "20260102".to_owned()];
        Expression::parse(text, &keys()).unwrap().holds(&values)
    }

    #[test]
    fn comparisons_mean_what_they_say() {
        for text in [
            "import_date = '20260102'",
            "import_date <> '20260103'",
            "import_date>='20260102' and import_date<='20260102'",
            "import_date between '20260101' and '20260131'",
            "import_date in ('20250101', '20260102')",
            "IMPORT_DATE NOT IN ('20250101') AND (import_date > '2027' OR import_year = 2026)",
            "import_date like '2026%'",
            "import_date is not null",
            "import_year > '2025'",
            "not import_date < '20260102'",
        ] {
            assert!(holds(text), "{text}");
        }
        assert!(!holds("import_date > '20260102' or import_date < '20260102'"));
        assert!(!holds("import_date LIKE '2025_102'"));
    }

    #[test]
    fn and_binds_closer_than_or() {
        assert!(holds("import_date = '20260102' or import_date = 'x' and import_date = 'y'"));
        assert!(!holds("(import_date = '20260102' or import_date = 'x') and import_date = 'y'"));
    }

    #[test]
    fn what_is_not_understood_is_an_error_and_never_an_empty_answer() {
        for text in [
            "import_date =",
            "import_date = 20260102",
            "elsewhere = 'x'",
            "import_date = '2026",
            "import_date = 'a' import_date",
            "import_date ~ 'a'",
            "(import_date = 'a'",
            "import_date in ()",
        ] {
            let error = Expression::parse(text, &keys()).unwrap_err();
            assert_eq!(error.code, "InvalidInputException", "{text}");
        }
        let long = format!("import_date = '{}'", "x".repeat(2048));
        assert!(Expression::parse(&long, &keys()).is_err());
    }
}
