//! Somebody who may do little, checked by moto's own IAM.

use serde_json::json;

use crate::moto::Moto;

const NAME: &str = "limited";

/// Makes the user; answers a key and its secret.
pub(crate) async fn user(moto: &Moto, allowed: &[&str]) -> (String, String) {
    ask(moto, "CreateUser", vec![]).await;
    let document = json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": allowed, "Resource": "*"}],
    });
    let policy = vec![
        ("PolicyName", "few".to_owned()),
        ("PolicyDocument", document.to_string()),
    ];
    ask(moto, "PutUserPolicy", policy).await;
    let answer = ask(moto, "CreateAccessKey", vec![]).await;
    let between = |tag: &str| {
        let after = answer.split(&format!("<{tag}>")).nth(1).unwrap();
        after.split('<').next().unwrap().to_owned()
    };
    (between("AccessKeyId"), between("SecretAccessKey"))
}

async fn ask(moto: &Moto, action: &str, more: Vec<(&'static str, String)>) -> String {
    let mut form = vec![
        ("Action", action.to_owned()),
        ("Version", "2010-05-08".into()),
        ("UserName", NAME.into()),
    ];
    form.extend(more);
    let url = moto.endpoint();
    let asked = tokio::task::spawn_blocking(move || {
        // moto wants to read a region and a service.
        let scope =
            "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0";
        let request = ureq::post(&url).header("Authorization", scope);
        request.send_form(form).unwrap().body_mut().read_to_string().unwrap()
    });
    asked.await.unwrap()
}
