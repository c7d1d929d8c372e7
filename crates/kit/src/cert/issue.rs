//! What an authority signs.

use rcgen::string::Ia5String;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    SanType, SerialNumber,
};

use super::date::{date, moment};
use super::{Authority, DAY, Name, PrivateKey, Purpose};
use crate::random;
use crate::{KitError, UnixSeconds};

/// Days that a certificate of a server is valid: a year and a month, so that a yearly date suffices.
pub const SERVER_DAYS: u32 = 397;

/// Days that a certificate of a client is valid: devices are harder to reach than servers.
pub const CLIENT_DAYS: u32 = 825;

/// How much earlier than now certificates begin: clocks of devices are late, an hour at the most if they
/// have a clock at all.
pub(super) const EARLIER: u64 = 3600;

/// Bytes of a serial number: enough that none is ever drawn twice.
const SERIAL: usize = 16;

/// What is asked of an authority.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who the holder is.
    pub(super) subject: DistinguishedName,
    /// The names it is reached by, or has.
    pub(super) names: Vec<SanType>,
    /// What it is for.
    pub(super) purpose: Purpose,
    /// For how long.
    pub(super) days: u32,
}

/// A signed certificate.
#[derive(Debug, Clone)]
pub struct Issued {
    /// As PEM.
    pub pem: String,
    /// Its end.
    pub ends: UnixSeconds,
    /// Whether it ends sooner than asked for, because the authority does.
    pub shortened: bool,
}

impl Request {
    /// For a server that is reached by these names.
    ///
    /// # Errors
    /// There is none: clients compare the name that they connect to, and look nowhere else for it.
    pub fn server(names: &[Name], days: u32) -> Result<Self, KitError> {
        let first =
            names.iter().find(|name| matches!(name, Name::Dns(_))).or_else(|| names.first());
        let Some(first) = first else {
            return Err(KitError::refused(
                "a server needs at least one name or address that clients use",
            ));
        };
        let first = first.to_string();
        // The common name has at most 64 characters, and nobody reads it for servers any more.
        let subject = common_name(if first.len() <= 64 { &first } else { "server" });
        Ok(Self { subject, names: alternative_names(names)?, purpose: Purpose::Server, days })
    }

    /// For a client of this name, which is the user name where certificates are.
    ///
    /// # Errors
    /// The name cannot be one.
    pub fn client(name: &str, names: &[Name], days: u32) -> Result<Self, KitError> {
        dunlin_access::password::check_name(name)
            .map_err(|fault| KitError::refused(format!("{name:?}: {fault}")))?;
        if name.chars().count() > 64 {
            return Err(KitError::refused(format!(
                "{name:?}: a common name has at most 64 characters"
            )));
        }
        let (subject, names) = (common_name(name), alternative_names(names)?);
        Ok(Self { subject, names, purpose: Purpose::Client, days })
    }

    /// With these alternative names too.
    ///
    /// # Errors
    /// One cannot be written.
    pub fn and_names(mut self, names: &[Name]) -> Result<Self, KitError> {
        for name in alternative_names(names)? {
            if !self.names.contains(&name) {
                self.names.push(name);
            }
        }
        Ok(self)
    }
}

impl Authority {
    /// Signs what is asked for.
    ///
    /// # Errors
    /// The dates make no sense.
    pub fn issue(
        &self,
        request: &Request,
        key: &PrivateKey,
        now: UnixSeconds,
    ) -> Result<Issued, KitError> {
        let (from, until) = self.validity();
        let wanted = now.saturating_add(u64::from(request.days) * DAY);
        let ends = wanted.min(until);
        // Nothing is valid before or after the authority that signed it.
        let begins = now.saturating_sub(EARLIER).max(from);
        if begins >= ends {
            let what = format!("the certificate would end on {} before it begins", date(ends));
            return Err(KitError::refused(what));
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = request.subject.clone();
        params.subject_alt_names = request.names.clone();
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if key.is_rsa() {
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        params.extended_key_usages = match request.purpose {
            Purpose::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Purpose::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Purpose::Both => {
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
            }
        };
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial_number()?);
        params.not_before = moment(begins)?;
        params.not_after = moment(ends)?;
        let signed = params.signed_by(&key.0, self.issuer());
        let signed =
            signed.map_err(|cause| KitError::refused(format!("it cannot be signed: {cause}")))?;
        Ok(Issued { pem: signed.pem(), ends, shortened: ends < wanted })
    }
}

/// A positive number that nobody can guess.
pub(super) fn serial_number() -> Result<SerialNumber, KitError> {
    let mut bytes = [0; SERIAL];
    random::fill(&mut bytes)?;
    if let Some(first) = bytes.first_mut() {
        *first = *first & 0x7F | 0x40;
    }
    Ok(SerialNumber::from_slice(&bytes))
}

fn common_name(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

fn alternative_names(names: &[Name]) -> Result<Vec<SanType>, KitError> {
    let mut names = names.to_vec();
    let mut once = Vec::new();
    names.retain(|name| {
        let is_new = !once.contains(name);
        once.push(name.clone());
        is_new
    });
    let convert = |name: Name| match name {
        Name::Ip(address) => Ok(SanType::IpAddress(address)),
        Name::Dns(name) => Ia5String::try_from(name)
            .map(SanType::DnsName)
            .map_err(|cause| KitError::refused(cause.to_string())),
    };
    names.into_iter().map(convert).collect()
}
