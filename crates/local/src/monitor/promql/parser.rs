//! From words to an expression, with the types checked. Must never know a sample.

use super::ast::{
    Aggregate, AggregateOp, Binary, BinaryOp, Expr, Function, Kind, Labelling, Many, MatchOp, Matcher, Matching,
    Selector,
};
use super::lexer::{Placed, Token, duration, tokens};
use super::{DEPTH_LIMIT, ParseError, QUERY_LIMIT};

/// Reads a query.
pub(crate) fn parse(query: &str) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(query)?;
    let expr = parser.expression(0)?;
    parser.finished()?;
    Ok(expr)
}

/// Reads a bare selector, as `match[]` of the series call takes it.
pub(crate) fn parse_selector(query: &str) -> Result<Vec<Matcher>, ParseError> {
    match parse(query)? {
        Expr::Selector(Selector {
            matchers,
            range_ms: None,
            offset_ms: 0,
            ..
        }) => Ok(matchers),
        _ => Err(ParseError::at(query, 0, "a selector of series expected")),
    }
}

/// Reads a duration as `30s` in milliseconds.
pub(crate) fn parse_duration(written: &str) -> Option<i64> {
    duration(written)
}

struct Parser<'a> {
    query: &'a str,
    tokens: Vec<Placed>,
    next: usize,
    selectors: usize,
    depth: usize,
}

type Parsed<T> = Result<T, ParseError>;

impl<'a> Parser<'a> {
    fn new(query: &'a str) -> Parsed<Self> {
        if query.len() > QUERY_LIMIT {
            return Err(ParseError::at(
                query,
                0,
                format!("the query is longer than {QUERY_LIMIT} bytes"),
            ));
        }
        let tokens = tokens(query)?;
        if tokens.len() == 1 {
            return Err(ParseError::at(query, 0, "no expression found in input"));
        }
        Ok(Self {
            query,
            tokens,
            next: 0,
            selectors: 0,
            depth: 0,
        })
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.next].token
    }

    fn place(&self) -> usize {
        self.tokens[self.next].at
    }

    fn advance(&mut self) -> Token {
        let token = self.tokens[self.next].token.clone();
        // The last token is the end, which is never passed.
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    fn fail<T>(&self, reason: impl Into<String>) -> Parsed<T> {
        Err(ParseError::at(self.query, self.place(), reason))
    }

    fn unexpected<T>(&self, expected: &str) -> Parsed<T> {
        let found = match self.peek() {
            Token::Word(word) => format!("{word:?}"),
            Token::Number(number) => format!("number {number}"),
            Token::Duration(ms) => format!("duration of {ms} ms"),
            Token::Text(text) => format!("string {text:?}"),
            Token::Sign(sign) => format!("{sign:?}"),
            Token::End => "end of input".to_owned(),
        };
        self.fail(format!("unexpected {found}, {expected} expected"))
    }

    fn takes(&mut self, sign: &str) -> bool {
        let there = matches!(self.peek(), Token::Sign(found) if *found == sign);
        if there {
            self.advance();
        }
        there
    }

    fn expect(&mut self, sign: &str) -> Parsed<()> {
        if self.takes(sign) {
            Ok(())
        } else {
            self.unexpected(&format!("{sign:?}"))
        }
    }

    fn takes_word(&mut self, wanted: &str) -> bool {
        let there = matches!(self.peek(), Token::Word(found) if found.eq_ignore_ascii_case(wanted));
        if there {
            self.advance();
        }
        there
    }

    fn finished(&self) -> Parsed<()> {
        if *self.peek() == Token::End {
            Ok(())
        } else {
            self.unexpected("an operator or the end")
        }
    }

    /// Operators of at least this precedence, by climbing.
    fn expression(&mut self, at_least: u8) -> Parsed<Expr> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return self.fail(format!(
                "more than {DEPTH_LIMIT} operators and parentheses inside each other"
            ));
        }
        let mut left = self.unary()?;
        while let Some(op) = self.operator().filter(|op| op.precedence() >= at_least) {
            let at = self.place();
            self.advance();
            let answers_bool = self.takes_word("bool");
            let matching = self.matching()?;
            // The power binds to the right, everything else to the left.
            let right = self.expression(op.precedence() + u8::from(op != BinaryOp::Power))?;
            let binary = Binary {
                op,
                answers_bool,
                matching: matching.clone().unwrap_or_default(),
                left,
                right,
            };
            check_operands(&binary, matching.as_ref()).map_err(|why| ParseError::at(self.query, at, why))?;
            left = Expr::Binary(Box::new(binary));
            // A chain of operators nests to the left, so each of them stays counted.
            self.depth += 1;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operator(&self) -> Option<BinaryOp> {
        Some(match self.peek() {
            Token::Sign(sign) => match *sign {
                "==" => BinaryOp::Equal,
                "!=" => BinaryOp::NotEqual,
                "<" => BinaryOp::Less,
                "<=" => BinaryOp::LessOrEqual,
                ">" => BinaryOp::Greater,
                ">=" => BinaryOp::GreaterOrEqual,
                "+" => BinaryOp::Add,
                "-" => BinaryOp::Subtract,
                "*" => BinaryOp::Multiply,
                "/" => BinaryOp::Divide,
                "%" => BinaryOp::Modulo,
                "^" => BinaryOp::Power,
                _ => return None,
            },
            Token::Word(word) => match word.to_ascii_lowercase().as_str() {
                "or" => BinaryOp::Or,
                "and" => BinaryOp::And,
                "unless" => BinaryOp::Unless,
                _ => return None,
            },
            _ => return None,
        })
    }

    fn matching(&mut self) -> Parsed<Option<Matching>> {
        let labels = if self.takes_word("on") {
            Labelling::Only(self.label_list()?)
        } else if self.takes_word("ignoring") {
            Labelling::Without(self.label_list()?)
        } else {
            return Ok(None);
        };
        let many = if self.takes_word("group_left") {
            Many::Left
        } else if self.takes_word("group_right") {
            Many::Right
        } else {
            return Ok(Some(Matching {
                labels,
                ..Matching::default()
            }));
        };
        let listed = matches!(self.peek(), Token::Sign("("));
        let include = if listed { self.label_list()? } else { Vec::new() };
        Ok(Some(Matching { labels, many, include }))
    }

    fn label_list(&mut self) -> Parsed<Vec<String>> {
        self.expect("(")?;
        let mut labels = Vec::new();
        while !self.takes(")") {
            match self.peek() {
                Token::Word(label) => labels.push(label.clone()),
                _ => return self.unexpected("the name of a label"),
            }
            self.advance();
            if !self.takes(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(labels)
    }

    /// A sign binds like a product: -1^2 is -(1^2).
    fn unary(&mut self) -> Parsed<Expr> {
        let at = self.place();
        let negative = self.takes("-");
        if !negative && !self.takes("+") {
            return self.primary();
        }
        let of = self.expression(BinaryOp::Power.precedence())?;
        if !matches!(of.kind(), Kind::Scalar | Kind::Vector) {
            let reason = format!(
                "a sign is allowed before a scalar or an instant vector, not before a {}",
                of.kind().name()
            );
            return Err(ParseError::at(self.query, at, reason));
        }
        Ok(match of {
            _ if !negative => of,
            Expr::Number(number) => Expr::Number(-number),
            of => Expr::Negated(Box::new(of)),
        })
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let at = self.place();
        let expr = match self.peek().clone() {
            Token::Number(number) => {
                self.advance();
                Expr::Number(number)
            }
            Token::Text(text) => {
                self.advance();
                Expr::Text(text)
            }
            Token::Sign("(") => {
                self.advance();
                let inside = self.expression(0)?;
                self.expect(")")?;
                inside
            }
            Token::Sign("{") => self.selector(None)?,
            Token::Word(word) => {
                self.advance();
                self.named(word, at)?
            }
            _ => return self.unexpected("an expression"),
        };
        self.modifiers(expr, at)
    }

    fn named(&mut self, word: String, at: usize) -> Parsed<Expr> {
        let opens = matches!(self.peek(), Token::Sign("("));
        if let Some(op) = AggregateOp::named(&word)
            && (opens || self.grouping_follows())
        {
            return self.aggregate(op);
        }
        if opens {
            return match Function::named(&word) {
                Some(function) => self.call(&word, function, at),
                None => Err(ParseError::at(
                    self.query,
                    at,
                    format!("unknown function with name {word:?}"),
                )),
            };
        }
        match word.to_ascii_lowercase().as_str() {
            "inf" => Ok(Expr::Number(f64::INFINITY)),
            "nan" => Ok(Expr::Number(f64::NAN)),
            _ => self.selector(Some(word)),
        }
    }

    fn grouping_follows(&self) -> bool {
        matches!(self.peek(), Token::Word(word) if word.eq_ignore_ascii_case("by") || word.eq_ignore_ascii_case("without"))
    }

    fn aggregate(&mut self, op: AggregateOp) -> Parsed<Expr> {
        let mut grouping = self.grouping()?;
        self.expect("(")?;
        let mut parameter = None;
        if op.takes_parameter() {
            parameter = Some(self.argument(Kind::Scalar)?);
            self.expect(",")?;
        }
        let of = self.argument(Kind::Vector)?;
        self.expect(")")?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let grouping = grouping.unwrap_or(Labelling::Only(Vec::new()));
        Ok(Expr::Aggregate(Box::new(Aggregate {
            op,
            grouping,
            parameter,
            of,
        })))
    }

    fn grouping(&mut self) -> Parsed<Option<Labelling>> {
        if self.takes_word("by") {
            return Ok(Some(Labelling::Only(self.label_list()?)));
        }
        if self.takes_word("without") {
            return Ok(Some(Labelling::Without(self.label_list()?)));
        }
        Ok(None)
    }

    fn argument(&mut self, expected: Kind) -> Parsed<Expr> {
        let at = self.place();
        let argument = self.expression(0)?;
        let found = argument.kind();
        if found != expected {
            let reason = format!("expected type {} here, got {}", expected.name(), found.name());
            return Err(ParseError::at(self.query, at, reason));
        }
        Ok(argument)
    }

    fn call(&mut self, name: &str, function: Function, at: usize) -> Parsed<Expr> {
        let (kinds, required) = function.takes();
        self.expect("(")?;
        let mut arguments = Vec::new();
        while !self.takes(")") {
            let Some(kind) = kinds.get(arguments.len()) else {
                return self.fail(format!(
                    "expected at most {} argument(s) in call to {name:?}",
                    kinds.len()
                ));
            };
            arguments.push(self.argument(*kind)?);
            if !self.takes(",") {
                self.expect(")")?;
                break;
            }
        }
        if arguments.len() < required {
            let reason = format!(
                "expected {required} argument(s) in call to {name:?}, got {}",
                arguments.len()
            );
            return Err(ParseError::at(self.query, at, reason));
        }
        Ok(Expr::Call(function, arguments))
    }

    fn selector(&mut self, metric: Option<String>) -> Parsed<Expr> {
        let at = self.place();
        let mut matchers: Vec<Matcher> = metric.map(Matcher::metric).into_iter().collect();
        if self.takes("{") {
            while !self.takes("}") {
                matchers.push(self.matcher()?);
                if !self.takes(",") {
                    self.expect("}")?;
                    break;
                }
            }
        }
        if matchers.iter().all(|matcher| matcher.matches("")) {
            return Err(ParseError::at(
                self.query,
                at,
                "vector selector must contain at least one non-empty matcher",
            ));
        }
        self.selectors += 1;
        Ok(Expr::Selector(Selector {
            index: self.selectors - 1,
            matchers,
            range_ms: None,
            offset_ms: 0,
        }))
    }

    fn matcher(&mut self) -> Parsed<Matcher> {
        let Token::Word(label) = self.peek().clone() else {
            return self.unexpected("the name of a label");
        };
        self.advance();
        let op = match self.peek() {
            Token::Sign("=") => MatchOp::Equal,
            Token::Sign("!=") => MatchOp::NotEqual,
            Token::Sign("=~") => MatchOp::Like,
            Token::Sign("!~") => MatchOp::NotLike,
            _ => return self.unexpected("=, !=, =~ or !~"),
        };
        self.advance();
        let at = self.place();
        let Token::Text(value) = self.peek().clone() else {
            return self.unexpected("a label value in quotes");
        };
        self.advance();
        Matcher::new(label, op, value).map_err(|why| ParseError::at(self.query, at, why))
    }

    /// `[5m]` and `offset 1m` after an expression.
    fn modifiers(&mut self, mut expr: Expr, at: usize) -> Parsed<Expr> {
        loop {
            if matches!(self.peek(), Token::Sign("@")) {
                return self.fail("the @ modifier is not known to the embedded monitor");
            }
            let ranged = matches!(self.peek(), Token::Sign("["));
            if !ranged && !self.takes_word("offset") {
                return Ok(expr);
            }
            let Expr::Selector(selector) = &mut expr else {
                let why = "ranges and offsets belong to a selector of series; subqueries are not known to the embedded monitor";
                return Err(ParseError::at(self.query, at, why));
            };
            if ranged {
                if selector.range_ms.is_some() || selector.offset_ms != 0 {
                    return self.fail("a range stands directly after the selector, once");
                }
                self.advance();
                selector.range_ms = Some(self.duration()?);
                self.expect("]")?;
            } else {
                let back = if self.takes("-") { -1 } else { 1 };
                selector.offset_ms = back * self.duration()?;
            }
        }
    }

    fn duration(&mut self) -> Parsed<i64> {
        match *self.peek() {
            Token::Duration(ms) if ms > 0 => {
                self.advance();
                Ok(ms)
            }
            Token::Duration(_) => self.fail("duration must be greater than 0"),
            _ => self.unexpected("a duration as 30s or 5m"),
        }
    }
}

impl Default for Matching {
    fn default() -> Self {
        Self {
            labels: Labelling::Without(Vec::new()),
            many: Many::Neither,
            include: Vec::new(),
        }
    }
}

fn check_operands(binary: &Binary, matching: Option<&Matching>) -> Result<(), String> {
    let (left, right) = (binary.left.kind(), binary.right.kind());
    for kind in [left, right] {
        if !matches!(kind, Kind::Scalar | Kind::Vector) {
            return Err(format!(
                "binary expression must contain only scalar and instant vector types, not {}",
                kind.name()
            ));
        }
    }
    let vectors = left == Kind::Vector && right == Kind::Vector;
    if binary.answers_bool && !binary.op.is_comparison() {
        return Err("bool modifier can only be used on comparison operators".to_owned());
    }
    if binary.op.is_comparison() && left == Kind::Scalar && right == Kind::Scalar && !binary.answers_bool {
        return Err("comparisons between scalars must use BOOL modifier".to_owned());
    }
    if binary.op.is_set() && !vectors {
        return Err("set operators and, or, unless stand between instant vectors".to_owned());
    }
    let Some(matching) = matching else { return Ok(()) };
    if !vectors {
        return Err("vector matching only allowed between instant vectors".to_owned());
    }
    if binary.op.is_set() && matching.many != Many::Neither {
        return Err("no grouping allowed for set operations".to_owned());
    }
    if let Labelling::Only(on) = &matching.labels
        && let Some(twice) = matching.include.iter().find(|label| on.contains(label))
    {
        return Err(format!("label {twice:?} must not occur in ON and GROUP clause at once"));
    }
    Ok(())
}
