//! What an order costs, ticket by ticket, and what a refund of it takes from each part
//! (contract C1). Minor units in checked integers; `hu` is round half up.
//!
//! **Invariants.** The parts of the tickets sum to the order's figures (INV-T8), whatever the
//! split; the parts of a refund sum to the refund and never pass what is left.

/// Minor units of a currency.
pub type Minor = i64;

/// Most minor units of one price or fixed fee; sums of 100 tickets stay far inside an `i64`.
pub const PRICE_MAX: Minor = 1_000_000_000_000_000;

/// The figures do not fit 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the amounts are too large")]
pub struct TooLarge;

/// One line of a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// List price of one ticket.
    pub price: Minor,
    /// How many tickets.
    pub quantity: u32,
    /// Tax rate in basis points.
    pub tax_rate_bp: u32,
    /// The price contains the tax.
    pub price_includes_tax: bool,
    /// The promo code covers this type.
    pub discounted: bool,
}

/// What a promo code takes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discount {
    /// Nothing.
    None,
    /// Basis points of each list price.
    Percent(u32),
    /// The same amount for each ticket.
    PerTicket(Minor),
    /// One amount for the order, split over its tickets by list price.
    PerOrder(Minor),
}

/// A fee: basis points and a fixed part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fee {
    /// Basis points of the tickets' sum.
    pub percent_bp: u32,
    /// Minor units once per order.
    pub fixed: Minor,
}

/// The fees of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeeRule {
    /// The platform's own.
    pub platform: Fee,
    /// For processing; none by default.
    pub processing: Fee,
}

impl FeeRule {
    /// 2.9 % + 0.30 (0.300 in currencies of three decimals, 30 in those without), no processing.
    pub fn standard(scale: u8) -> Self {
        Self {
            platform: Fee {
                percent_bp: 290,
                fixed: if scale == 3 { 300 } else { 30 },
            },
            processing: Fee::default(),
        }
    }
}

/// Who bears the fees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeePayer {
    /// They come on top.
    Buyer,
    /// They are taken from the organiser's net.
    Organizer,
}

impl FeePayer {
    /// The word in JSON and tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Buyer => "buyer",
            Self::Organizer => "organizer",
        }
    }

    /// The value for a word; anything else is the buyer, the default.
    pub fn from_word(word: &str) -> Self {
        match word {
            "organizer" => Self::Organizer,
            _ => Self::Buyer,
        }
    }
}

/// The parts of one ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Part {
    /// Index of its line.
    pub line: usize,
    /// List price.
    pub list: Minor,
    /// Discount.
    pub discount: Minor,
    /// Net, for the organiser.
    pub net: Minor,
    /// Tax.
    pub tax: Minor,
    /// Share of the platform fee.
    pub platform_fee: Minor,
    /// Share of the processing fee.
    pub processing_fee: Minor,
}

impl Part {
    /// s: what the ticket costs without fees.
    pub const fn total(&self) -> Minor {
        self.net + self.tax
    }
}

/// What an order costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amounts {
    /// Σ list prices.
    pub subtotal: Minor,
    /// Σ discounts.
    pub discount: Minor,
    /// Σ tax.
    pub tax: Minor,
    /// S = Σ (net + tax).
    pub tickets: Minor,
    /// f.
    pub platform_fee: Minor,
    /// g.
    pub processing_fee: Minor,
    /// What the buyer pays.
    pub total: Minor,
    /// One for each ticket, in item order: ticket number 01 first.
    pub parts: Vec<Part>,
}

impl Amounts {
    /// Σ net.
    pub fn net(&self) -> Minor {
        self.tickets - self.tax
    }
}

/// What a cart costs.
///
/// # Errors
/// [`TooLarge`].
pub fn price(
    lines: &[Line],
    discount: Discount,
    rule: &FeeRule,
    payer: FeePayer,
) -> Result<Amounts, TooLarge> {
    let mut parts = tickets(lines, discount)?;
    let sum = |of: fn(&Part) -> Minor| {
        parts
            .iter()
            .try_fold(0, |sum: Minor, part| sum.checked_add(of(part)))
            .ok_or(TooLarge)
    };
    let (subtotal, taken, tax) = (sum(|p| p.list)?, sum(|p| p.discount)?, sum(|p| p.tax)?);
    let tickets = sum(Part::total)?;
    let net = tickets - tax;
    let (mut f, mut g) = (fee(tickets, rule.platform)?, fee(tickets, rule.processing)?);
    let total = match payer {
        FeePayer::Buyer => tickets.checked_add(f + g).ok_or(TooLarge)?,
        FeePayer::Organizer => {
            f = f.min(net);
            g = g.min(net - f);
            tickets
        }
    };
    let weights: Vec<Minor> = parts.iter().map(Part::total).collect();
    for (part, share) in parts.iter_mut().zip(split(f, &weights)) {
        part.platform_fee = share;
    }
    for (part, share) in parts.iter_mut().zip(split(g, &weights)) {
        part.processing_fee = share;
    }
    Ok(Amounts {
        subtotal,
        discount: taken,
        tax,
        tickets,
        platform_fee: f,
        processing_fee: g,
        total,
        parts,
    })
}

fn tickets(lines: &[Line], discount: Discount) -> Result<Vec<Part>, TooLarge> {
    let mut parts = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if !(0..=PRICE_MAX).contains(&line.price) {
            return Err(TooLarge);
        }
        let each = match discount {
            Discount::Percent(bp) if line.discounted => half_up(line.price, bp, 10_000),
            Discount::PerTicket(amount) if line.discounted => amount.min(line.price),
            _ => 0,
        };
        let part = Part {
            line: index,
            list: line.price,
            discount: each,
            ..Part::default()
        };
        parts.extend(std::iter::repeat_n(part, line.quantity as usize));
    }
    if let Discount::PerOrder(amount) = discount {
        let weights: Vec<Minor> = parts
            .iter()
            .map(|part| match lines[part.line].discounted {
                true => part.list,
                false => 0,
            })
            .collect();
        let most: Minor = weights.iter().sum();
        for (part, share) in parts.iter_mut().zip(split(amount.min(most), &weights)) {
            part.discount = share;
        }
    }
    for part in &mut parts {
        let line = &lines[part.line];
        let price = part.list - part.discount;
        let rate = line.tax_rate_bp;
        if line.price_includes_tax {
            part.tax = half_up(price, rate, 10_000 + rate);
            part.net = price - part.tax;
        } else {
            part.tax = half_up(price, rate, 10_000);
            part.net = price;
        }
    }
    Ok(parts)
}

fn fee(tickets: Minor, fee: Fee) -> Result<Minor, TooLarge> {
    if tickets == 0 {
        return Ok(0);
    }
    let whole = half_up(tickets, fee.percent_bp, 10_000)
        .checked_add(fee.fixed)
        .ok_or(TooLarge)?;
    Ok(whole.min(tickets))
}

/// `amount · numerator / denominator`, half up. Both factors are not negative.
fn half_up(amount: Minor, numerator: u32, denominator: u32) -> Minor {
    let (n, d) = (i128::from(numerator), i128::from(denominator));
    let rounded = (2 * i128::from(amount) * n + d) / (2 * d);
    Minor::try_from(rounded).unwrap_or(Minor::MAX)
}

/// Splits a total by weights: largest remainder, ties to the lower index. Parts sum to the whole;
/// without weights there is nothing to give.
pub fn split(total: Minor, weights: &[Minor]) -> Vec<Minor> {
    let whole: i128 = weights.iter().map(|w| i128::from(*w)).sum();
    if whole == 0 || total == 0 {
        return vec![0; weights.len()];
    }
    let exact = |w: &Minor| i128::from(total) * i128::from(*w);
    let mut shares: Vec<Minor> = weights
        .iter()
        .map(|w| Minor::try_from(exact(w) / whole).unwrap_or(Minor::MAX))
        .collect();
    let given: Minor = shares.iter().sum();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|index| (-(exact(&weights[*index]) % whole), *index));
    let rest = usize::try_from(total - given).unwrap_or(0);
    for index in order.into_iter().take(rest) {
        shares[index] += 1;
    }
    shares
}

/// What a buyer paid for a ticket, or what of it went back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Paid {
    /// Net.
    pub net: Minor,
    /// Tax.
    pub tax: Minor,
    /// Platform fee.
    pub platform_fee: Minor,
    /// Processing fee.
    pub processing_fee: Minor,
}

impl Paid {
    /// What the buyer paid of it: fees only when he bore them.
    pub const fn by_buyer(&self, payer: FeePayer) -> Minor {
        match payer {
            FeePayer::Buyer => self.net + self.tax + self.platform_fee + self.processing_fee,
            FeePayer::Organizer => self.net + self.tax,
        }
    }

    /// Member by member.
    #[must_use]
    pub const fn minus(&self, other: &Self) -> Self {
        Self {
            net: self.net - other.net,
            tax: self.tax - other.tax,
            platform_fee: self.platform_fee - other.platform_fee,
            processing_fee: self.processing_fee - other.processing_fee,
        }
    }

    /// Member by member.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            net: self.net + other.net,
            tax: self.tax + other.tax,
            platform_fee: self.platform_fee + other.platform_fee,
            processing_fee: self.processing_fee + other.processing_fee,
        }
    }
}

/// The parts of a refund of `amount` to the buyer, out of what is `left` of a ticket; `None` when
/// more is asked than the buyer has left. Fees borne by the organiser come back to him with the
/// ticket's last cent.
pub fn refund(left: &Paid, payer: FeePayer, amount: Minor) -> Option<Paid> {
    let whole = left.by_buyer(payer);
    if amount < 0 || amount > whole {
        return None;
    }
    if amount == whole {
        return Some(*left);
    }
    Some(match payer {
        FeePayer::Buyer => {
            let weights = [left.net, left.tax, left.platform_fee, left.processing_fee];
            let shares = split(amount, &weights);
            Paid {
                net: shares[0],
                tax: shares[1],
                platform_fee: shares[2],
                processing_fee: shares[3],
            }
        }
        FeePayer::Organizer => {
            let shares = split(amount, &[left.net, left.tax]);
            Paid {
                net: shares[0],
                tax: shares[1],
                ..Paid::default()
            }
        }
    })
}

#[cfg(test)]
mod tests;
