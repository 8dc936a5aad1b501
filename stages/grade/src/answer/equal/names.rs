//! What stands before `=` without being part of the answer, and the answer after it.

use super::super::expression::{Expression, Function, Relation};

/// `x`, `f(x)`, `AB`, `|AB|`, `sin A`, `(p, q)`, `V_1 : V_2`, `area`: what may be named by an equation.
pub(super) fn is_name(expression: &Expression) -> bool {
    match expression {
        Expression::Symbol(_) | Expression::Text(_) => true,
        Expression::Apply(_, arguments) => arguments.iter().all(Expression::is_scalar),
        // `|AB|` is a length, but `|x| = 3` an equation; `sin A` names a value.
        Expression::Call(function, arguments) => match (function, arguments.as_slice()) {
            (Function::Abs, [Expression::Product(letters)]) => {
                letters.len() == 2 && is_name(&arguments[0])
            }
            (Function::Sin | Function::Cos | Function::Tan, [Expression::Symbol(_)]) => true,
            _ => false,
        },
        Expression::Product(parts) => {
            parts.len() <= 5 && parts.iter().all(|p| matches!(p, Expression::Symbol(_)))
                || is_derivative(parts)
        }
        Expression::Group('(', parts, ')') | Expression::Ratio(parts) => {
            parts.iter().all(|part| match part {
                Expression::Product(letters) => letters.len() <= 3 && is_name(part),
                _ => matches!(part, Expression::Symbol(_) | Expression::Apply(..)),
            })
        }
        _ => false,
    }
}

/// `dy/dx`.
fn is_derivative(parts: &[Expression]) -> bool {
    let differential = |value: &Expression| match value {
        Expression::Product(letters) => matches!(letters.as_slice(),
            [Expression::Symbol(d), Expression::Symbol(_)] if d == "d"),
        _ => false,
    };
    match parts {
        [above, Expression::Power(below, _)] => differential(above) && differential(below),
        _ => false,
    }
}

fn has_symbol(expression: &Expression) -> bool {
    expression.any(&|part| matches!(part, Expression::Symbol(_) | Expression::Apply(..)))
}

/// The name and the values of a chain that only says what something is. In `x = a = b` the last value counts;
/// in `x = a ≈ b` first the exact one, then the rounded one. None for a genuine equation.
pub(super) fn valued<'a>(
    sides: &'a [Expression],
    signs: &[Relation],
) -> Option<(Option<&'a Expression>, Vec<Expression>)> {
    if signs == [Relation::In] {
        let (name, set) = (sides.first()?, sides.last()?);
        return is_name(name).then(|| (Some(name), vec![set.clone()]));
    }
    if !signs
        .iter()
        .all(|sign| matches!(sign, Relation::Equal | Relation::Near))
    {
        return None;
    }
    let (first, last) = (sides.first()?, sides.last()?);
    let named = is_name(first);
    let near = signs.iter().position(|sign| *sign == Relation::Near);
    // The side before the first `≈` is exact, unless it is only the name.
    let exact = match near {
        Some(at) if at > 0 || !named => sides.get(at)?,
        Some(_) | None => last,
    };
    let mut values = vec![exact.clone()];
    if near.is_some() && exact != last && is_close(exact, last) {
        values.push(last.clone());
    }
    if named {
        return Some((Some(first), values));
    }
    let constant = |side: &Expression| side.is_scalar() && !has_symbol(side);
    match sides {
        [value, name] if is_name(name) && constant(value) => {
            Some((Some(name), vec![value.clone()]))
        }
        _ if sides.iter().all(constant) => Some((None, values)),
        // `\frac{1}{2} ab ≈ …`: a value and its rounding.
        _ if near == Some(0) => Some((None, values)),
        _ => None,
    }
}

/// Whether the second is written as a rounding of the first: of the same sign and size.
fn is_close(exact: &Expression, rounded: &Expression) -> bool {
    use super::super::numeric::constant;
    use num_traits::Signed;
    let values = std::cell::Cell::new(200);
    let (Some((a, _)), Some((b, _))) = (constant(exact, &values), constant(rounded, &values))
    else {
        return false;
    };
    let twentieth = num_rational::BigRational::new(1.into(), 20.into());
    (&a - &b).abs() <= a.abs() * twentieth
}

/// Whether two names are the same. The variables of a function that is defined may be called anything.
pub(super) fn same_name(left: &Expression, right: &Expression) -> bool {
    match (left, right) {
        (Expression::Apply(f, xs), Expression::Apply(g, ys)) => {
            f == g && xs.len() == ys.len() && (xs == ys || (distinct(xs) && distinct(ys)))
        }
        // `x_1 = 5` beside `x = 5`: the number only counts the solutions.
        (Expression::Symbol(a), Expression::Symbol(b)) => {
            let numbers = |long: &str, short: &str| {
                long.strip_prefix(short)
                    .and_then(|rest| rest.strip_prefix('_'))
                    .is_some_and(|index| index.bytes().all(|b| b.is_ascii_digit()))
            };
            a == b || numbers(a, b) || numbers(b, a)
        }
        _ => left == right,
    }
}

/// Whether these are different variables; `A` in `P(A)` is an event and none.
fn distinct(variables: &[Expression]) -> bool {
    variables.iter().enumerate().all(|(i, x)| {
        matches!(x, Expression::Symbol(name) if name.starts_with(char::is_lowercase))
            && !variables[..i].contains(x)
    })
}

/// The value of a definition with the variables of another one.
pub(super) fn renamed(value: &Expression, from: &Expression, to: &Expression) -> Expression {
    let (Expression::Apply(_, from), Expression::Apply(_, to)) = (from, to) else {
        return value.clone();
    };
    value.replaced(&|part| {
        let place = from.iter().position(|variable| variable == part)?;
        to.get(place).cloned()
    })
}
