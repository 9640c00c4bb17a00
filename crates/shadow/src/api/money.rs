//! How a route prints money (`?money=string`).

use florin_platform::http::problem::Problem;

use super::problem::field;
use crate::model::{Money, MoneyForm};
use crate::store::Shadow;

/// The form that `?money=` asks for.
///
/// # Errors
/// 400 `validation_failed` for any other word.
pub fn form(asked: Option<&str>) -> Result<MoneyForm, Problem> {
    match asked {
        None | Some("number") => Ok(MoneyForm::Number),
        Some("string") => Ok(MoneyForm::Text),
        Some(_) => {
            let message = "Money is printed as `number` or as `string`.";
            Err(field("money", "validation_failed", message))
        }
    }
}

/// `minor` units of a currency in this form.
pub fn print(shadow: &Shadow, currency: &str, minor: i128, form: MoneyForm) -> Money {
    let scale = shadow.currencies().scale(currency).unwrap_or(0);
    Money::new(minor, scale, form)
}
