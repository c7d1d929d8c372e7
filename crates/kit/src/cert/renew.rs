//! The same certificate with new dates.

use rcgen::{DistinguishedName, DnType, DnValue, SanType};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::issue::{CLIENT_DAYS, SERVER_DAYS};
use super::pem::Chain;
use super::{Authority, Facts, Purpose, Request};
use crate::KitError;

impl Request {
    /// What has to be asked for to get that certificate once more, for so many days or as many as new ones
    /// have.
    ///
    /// # Errors
    /// The authority has not signed it, or there is something in it that cannot be written again.
    pub fn again(
        authority: &Authority,
        chain: &Chain,
        days: Option<u32>,
    ) -> Result<Self, KitError> {
        let certificate = chain.parsed();
        let path = &chain.path;
        if certificate.is_ca() {
            let what = "it is that of an authority: with a new one, all that it has signed has to be made anew";
            return Err(KitError::unusable(path, what));
        }
        if !authority.has_signed(&certificate) {
            let what = format!(
                "it was not signed by {}: whoever trusts that one now would get another",
                authority.chain().path.display()
            );
            return Err(KitError::unusable(path, what));
        }
        let broken = || KitError::unusable(path, "it cannot be parsed");
        let purpose = Facts::parse(chain.first()).ok_or_else(broken)?.purpose;
        let usual = if purpose == Purpose::Client { CLIENT_DAYS } else { SERVER_DAYS };
        Ok(Self {
            subject: subject(&certificate).ok_or_else(|| {
                KitError::unusable(
                    path,
                    "there is something in its subject that cannot be written again",
                )
            })?,
            names: names(&certificate).ok_or_else(|| {
                KitError::unusable(path, "it has an alternative name that cannot be written again")
            })?,
            purpose,
            days: days.unwrap_or(usual),
        })
    }
}

fn subject(certificate: &X509Certificate<'_>) -> Option<DistinguishedName> {
    let mut subject = DistinguishedName::new();
    for attribute in certificate.subject().iter_attributes() {
        let oid: Vec<u64> = attribute.attr_type().iter()?.collect();
        let kind = DnType::from_oid(&oid);
        // A part that is there twice would be lost.
        if subject.get(&kind).is_some() {
            return None;
        }
        let text = attribute.as_str().ok()?;
        let is_country = kind == DnType::CountryName;
        let value = match rcgen::string::PrintableString::try_from(text) {
            // Countries must be written so.
            Ok(printable) if is_country => DnValue::PrintableString(printable),
            _ => DnValue::Utf8String(text.to_owned()),
        };
        subject.push(kind, value);
    }
    Some(subject)
}

fn names(certificate: &X509Certificate<'_>) -> Option<Vec<SanType>> {
    let Some(extension) = certificate.subject_alternative_name().ok()? else {
        return Some(Vec::new());
    };
    let names = extension.value.general_names.iter();
    names
        .map(|name| match name {
            GeneralName::DNSName(text) => text.to_string().try_into().ok().map(SanType::DnsName),
            GeneralName::RFC822Name(text) => {
                text.to_string().try_into().ok().map(SanType::Rfc822Name)
            }
            GeneralName::URI(text) => text.to_string().try_into().ok().map(SanType::URI),
            GeneralName::IPAddress(bytes) => {
                let four = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
                let address = four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(Into::into));
                address.ok().map(SanType::IpAddress)
            }
            _ => None,
        })
        .collect()
}
