//! The invented medical records: the same id is the same record in every instance and every run.

use serde_json::{Value, json};

/// Ids from 1 to this exist; newly posted records count on from here.
pub(super) const RECORDS: u64 = 10_000;

const GIVEN: [&str; 8] = ["Ada", "Bela", "Chidi", "Dalia", "Emre", "Fatou", "Goran", "Hana"];
const FAMILY: [&str; 9] = [
    "Abara", "Berg", "Castro", "Duda", "Evans", "Farouk", "Gupta", "Horvat", "Ito",
];
const REASON: [&str; 7] = [
    "annual check-up",
    "vaccination",
    "follow-up",
    "laboratory result",
    "referral",
    "allergy test",
    "prescription",
];
const UNIT: [&str; 5] = [
    "general practice",
    "cardiology",
    "dermatology",
    "paediatrics",
    "orthopaedics",
];

/// A multiplicative hash: neighbours differ in every field, and no random state is needed.
fn mixed(id: u64, field: u64) -> usize {
    let z = (id.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ field.wrapping_mul(0xd6e8_feb8_6659_fd93))
        .wrapping_mul(0xff51_afd7_ed55_8ccd);
    (z >> 33) as usize
}

fn pick<'a>(from: &[&'a str], id: u64, field: u64) -> &'a str {
    from[mixed(id, field) % from.len()]
}

fn day(id: u64, field: u64) -> String {
    let n = mixed(id, field);
    format!("{}-{:02}-{:02}", 2019 + n % 6, 1 + n / 7 % 12, 1 + n / 91 % 28)
}

fn patient_of(record: u64) -> u64 {
    1 + record % 2_500
}

pub(super) fn record(id: u64) -> Value {
    json!({
        "id": id,
        "patient": patient_of(id),
        "date": day(id, 1),
        "unit": pick(&UNIT, id, 2),
        "reason": pick(&REASON, id, 3),
        "systolic_mmhg": 100 + mixed(id, 4) % 50,
        "pulse_per_minute": 55 + mixed(id, 5) % 45,
    })
}

/// The chart of a patient: who it is and the records that name this patient.
pub(super) fn chart(patient: u64) -> Value {
    let own = (0..4).map(|n| patient - 1 + n * 2_500).filter(|id| *id > 0).map(record);
    json!({
        "patient": patient,
        "name": format!("{} {}", pick(&GIVEN, patient, 6), pick(&FAMILY, patient, 7)),
        "born": format!("{}-{:02}-01", 1940 + mixed(patient, 8) % 75, 1 + mixed(patient, 9) % 12),
        "allergies": if mixed(patient, 10).is_multiple_of(3) { json!(["penicillin"]) } else { json!([]) },
        "records": own.collect::<Vec<_>>(),
    })
}

pub(super) const PATIENTS: u64 = 2_500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_holds_records_of_its_patient_only() {
        for patient in [1, 2, 77, PATIENTS] {
            for record in chart(patient)["records"].as_array().unwrap() {
                assert_eq!(record["patient"], patient);
            }
        }
    }

    #[test]
    fn the_same_id_is_the_same_record() {
        assert_eq!(record(42), record(42));
        assert_ne!(record(42)["date"], record(43)["date"]);
    }
}
