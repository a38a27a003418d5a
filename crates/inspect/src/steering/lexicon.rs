//! What words speak of. A word alone accuses nobody; [`super::rules`] wants two of these in one sentence.
//!
//! Words are compared by their stems. `_` joins the words of a phrase.

use super::stem::stem;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::LazyLock;

/// A set of what is spoken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Topics(u128);

impl Topics {
    /// All of both.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// What both have.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
    /// Something of both.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
    /// All of this that is not of the other.
    pub(crate) const fn but(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
    /// How many there are, of what the rules speak of.
    pub(crate) const fn count(self) -> u32 {
        (self.0 & u64::MAX as u128).count_ones()
    }
    /// One bit for each.
    pub(crate) const fn bits(self) -> u128 {
        self.0
    }
    pub(crate) const NONE: Self = Self(0);
}

macro_rules! topics {
    ($($(#[$doc:meta])* $name:ident = $bit:literal: $words:literal;)*) => {
        $($(#[$doc])* pub(crate) const $name: Topics = Topics(1 << $bit);)*
        pub(super) const WORDS: &[(Topics, &str)] = &[$(($name, $words)),*];
    };
}

pub(crate) mod world;

topics! {
    /// The person the model works for.
    USER = 0: "user human person operator end-user enduser usuario usuário utilisateur benutzer nutzer utente gebruiker пользователь пользователю пользователя";
    /// The model is spoken to, or of.
    MODEL = 1: "assistant agent llm chatbot claude gpt copilot ai_model language_model ai_assistant asistente assistente agente modell ассистент модель";
    YOU = 2: "you your yourself yours";
    /// This tool.
    SELF = 3: "this_tool this_function this_endpoint this_service this_server this_method this_operation this_one esta_herramienta esta_ferramenta cet_outil dieses_werkzeug questo_strumento этот_инструмент";
    /// Tools that are not this one.
    OTHERS = 4: "other_tool other_server other_function other_mcp any_tool any_server any_other_tool any_other_server every_tool every_other_tool every_server all_tool all_other_tool other_service other_plugin other_integration other_mcp_server another_tool another_server similar_tool competing_tool competing remaining_tool built-in_tool builtin_tool native_tool default_tool rest_of_the_tool alternative_tool each_tool subsequent_tool otras_herramientas outras_ferramentas autres_outils anderen_werkzeuge andere_werkzeuge altri_strumenti других_инструментов другие_инструменты every_alternative all_alternative any_alternative other_alternative different_tool different_server";
    TOOL = 5: "tool function plugin connector server mcp herramienta ferramenta outil werkzeug strumento инструмент";
    /// Without regard to what was asked.
    ANYTHING = 6: "whatever regardless no_matter irrespective in_every every_conversation every_question every_request every_message every_session every_turn every_query every_task every_time anytime any_question any_request any_task any_topic any_query each_time each_conversation each_message all_request all_question all_queries all_task unrelated in_all_case without_exception under_all_circumstance unconditionally everytime independent_of not_matter start_of_every beginning_of_every  at_all_times all_circumstance";
    ALWAYS = 7: "always first must_be_used must_be_called must_use must_call exclusively only_ever siempre sempre toujours immer всегда";
    MUST = 8: "must required mandatory shall need_to have_to has_to obligatory compulsory imperative is_necessary be_sure make_sure ensure_that should deben debe deve doit doivent muss müssen devono должен должны необходимо обязательно";
    NOT = 9: "not never dont don't do_not doesn't does_not no without avoid nothing cannot can't mustn't must_not shouldn't should_not won't neither nor refrain without_ever no_need nobody no_one não nunca ne_pas jamais nicht kein keine niemals non mai не никогда sin sem sans ohne senza без";
    IGNORE = 10: "ignore disregard forget override overrule supersede bypass discard void nullify neglect overwrite abandon set_aside pay_no_attention takes_precedence take_precedence ignora ignorar ignore ignorez ignorier ignoriere oubliez olvida esqueça vergiss игнорируй игнорируйте игнорировать забудь";
    PRIOR = 11: "previous prior above earlier preceding existing original all_of_your former initial anteriores précédent précédentes vorherigen bisherigen precedenti предыдущие";
    RULES = 12: "instruction rule guideline directive policy policies restriction safeguard guardrail safety constraint system_prompt prompt programming instrucciones instruções anweisungen istruzioni инструкции правила";
    TELL = 13: "tell told mention inform notify reveal disclose show display say explain alert warn surface bring_up bring_it_up bring_this_up bring_that_up discuss acknowledge describe announce communicate comment refer_to cite spell_out hint talk_about decir mencionar mencione menciones informar informe dire mentionner informer sagen erwähnen mitteilen informieren dire menzionare informare сообщай сообщать говори говорить упоминай advise persuade convince urge";
    /// To find out.
    LEARN = 14: "learn know see notice find_out aware discover realise realize hear suspect informed told saber ver savoir erfahren wissen sapere знать видеть";
    SILENT = 15: "silently quietly discreetly secretly covertly unnoticed invisibly stealthily surreptitiously unobtrusively sub_rosa undetected in_silence en_silencio silenciosamente em_silêncio silencieusement discrètement heimlich stillschweigend unbemerkt silenziosamente di_nascosto незаметно тайно cópia_oculta copia_oculta copie_cachée blindkopie";
    ASK = 16: "ask confirm confirmation approval approve ask_permission ask_for_permission permission_prompt permission_dialog user's_permission consent authorisation authorization sign-off dialog dialogue prompting double-check veto reconfirm human_review green_light pregunta preguntar confirmación confirmar confirmação permiso permissão demander confirmer autorisation fragen nachfragen bestätigung zustimmung erlaubnis chiedere conferma permesso подтверждение подтверждения разрешение спрашивать спрашивай";
    SKIP = 17: "skip bypass suppress suppressed disable waive dispense unnecessary needless auto-approve autoapprove auto_approve pre-approved preapproved preauthorised preauthorized pre-authorized already_agreed already_approved already_granted already_given already_consented already_confirmed already_authorised already_authorized on_behalf on_their_behalf no_need no_point not_needed not_required not_necessary without_asking without_waiting without_confirmation without_approval without_further without_prompting instead_of_asking rather_than_asking answer_yes say_yes reply_yes superfluous redundant obviate implied implicit deemed has_agreed has_approved has_consented standing_approval blanket takes_as_given sin_preguntar sem_perguntar sans_demander ohne_zu_fragen ohne_rückfrage ohne_nachfrage senza_chiedere без_спроса без_подтверждения";
    MOVE = 18: "output print send sent post forward upload include paste append attach copy pass fill put write provide hand mail email mirror relay report submit transmit share embed supply insert prepend push give deliver publish dump export bcc cc transfer feed repeat enter encode inject place populate store record quote disclose reveal enclose route state bring carry type enviar envíe envía envia envie envoyer envoyez senden schicken sende schicke füge fülle trage übergib weiterleiten inviare invia inoltra отправь отправить отправляй пересылай перешли скопируй вставь incluir incluya inclua inclure einfügen copiar copie kopiere copier copia go_into goes_into belongs_in required_as expected_as";
    FETCH = 19: "read open fetch look look_into look_up get collect load cat find gather obtain retrieve extract take grab access harvest scrape slurp pull locate dig consult check enumerate leer lea lee lire lisez lesen lies leggere leggi прочитай прочти открой читать";
    RUN = 20: "run execute launch eval spawn exec invoke_the_shell ejecutar ejecuta executar execute exécuter ausführen esegui eseguire выполни запусти";
    DESTROY = 21: "teardown clean_up cleanup delete erase wipe empty emptying remove overwrite purge truncate destroy clear shred format reset revoke disable unlink discard drop eliminar borrar apagar supprimer löschen cancellare удали удалить";
    INSTALL = 22: "install pip npm npx sudo apt brew download add_to_path instalar installer installieren installare установи установить";
    /// Outside, in words.
    OUTSIDE = 23: "webhook collector external_endpoint external_server external_service external_host external_address external_url external_analytics external_system external_site external_api external_logging external_party external_audit third-party_server third-party_endpoint third_party_server third_party_endpoint third_party_service partner attacker telemetry_endpoint remote_server remote_host remote_endpoint outside_host outside_server ingest pastebin requestbin ngrok beacon callback_url our_server our_endpoint backup_server mirror_server audit_server exfil offsite off-site drop_box dropbox_link analytics_endpoint analytics_server logging_server logging_endpoint monitoring_endpoint collection_endpoint";
    SHELL = 24: "curl wget bash powershell sudo chmod crontab authorized_keys netcat bashrc zshrc launchctl systemctl reverse_shell shell_command shell_script startup_script startup_file rm_rf";
    /// Files and stores that hold secrets and nothing else.
    STRONGBOX = 25: "ssh_key private_key private_ssh ssh_private id_rsa id_ed25519 ssh_folder ssh_directory dotenv dotenv_file env_file keychain keyring password_manager credential_store credential_file credentials_file vault_entry secret_store wallet_file seed_phrase recovery_phrase recovery_word mnemonic_phrase mnemonic seed_word netrc npmrc pypirc aws_credential browser_cookie session_cookie cookie_jar cookie_store saved_password stored_password browser_profile login_data shadow_file etc_passwd shell_history bash_history known_host gpg_key pgp_key master_password mcp_json credential_helper service_account_key deploy_key signing_key oauth_token_line git_credential kubeconfig_content clave_privada chave_privada clé_privée privater_schlüssel privaten_schlüssel chiave_privata закрытый_ключ приватный_ключ";
    SECRET = 26: "password passphrase passcode api_key apikey access_key access_token auth_token bearer_token oauth_token refresh_token session_token credential secret secrets one-time_code otp 2fa mfa_code verification_code security_code pin_code cvv cvc card_number credit_card debit_card social_security ssn bank_account iban banking_detail payment_detail login_detail account_number token contraseña senha mot_de_passe passwort kennwort parola пароль токен clave_api tarjeta cartão karte maiden_name digits_of_the_card security_question security_answer sms_code code_they_received code_they_were_sent code_from_their authenticator_code routing_number sort_code backup_code signing_code";
    /// What was said between people and the model, and what the model was told.
    CONTEXT = 27: "tool_called_just tool_called_before tool_called_last output_of_the_tool_called result_of_the_tool_called all_prior_tool all_previous_tool_output tools_in_this_session tool_in_this_session servers_in_this_session server_in_this_session returned_earlier_in_this conversation_history chat_history conversation_so_far chat_log system_prompt system_message system_instruction developer_message hidden_prompt full_conversation entire_conversation whole_conversation complete_conversation conversation_transcript complete_transcript full_transcript entire_transcript chat_transcript conversation_context previous_turn prior_turn earlier_turn original_prompt full_prompt raw_prompt your_instruction your_prompt your_context your_system your_memory your_reasoning your_thought your_guideline chain_of_thought thought_process tool_definition tool_list available_tool list_of_tool tool_schema tool_result tool_output tool_response every_tool_you tools_you context_window memory_of_the everything_known everything_you_know all_you_know exact_word exact_wording what_the_user_said what_the_user_asked what_you_know what_you_know_about everything_said said_so_far discussed_so_far earlier_answer names_of_every_tool name_of_every_tool your_configuration your_rule your_setting your_directive full_reasoning agent_memory historial_de_la_conversación conversación_completa histórico_da_conversa conversa_inteira historique_de_la_conversation gesprächsverlauf chatverlauf cronologia_della_conversazione историю_переписки историю_чата системный_промпт private_reasoning model's_private_reasoning model's_reasoning hidden_reasoning inner_reasoning messages_that_led earlier_request earlier_question";
    TALK = 28: "previous_message earlier_message message_history conversation chat transcript dialogue dialog history turn prompt session discussion message memory conversación conversa gespräch unterhaltung conversazione переписка переписку разговор";
    PLACE = 29: "environment_variable env_var process_env printenv home_directory home_folder working_directory working_folder clipboard desktop documents_folder downloads_folder source_code source_file repository codebase workspace project_file local_file file_system filesystem browser_history folder_the_user user's_file user_file user_folder ssh hostname config_file configuration_file system_configuration git_config backup audit_log variables_de_entorno variables_d'environnement umgebungsvariablen";
    PERSONAL = 30: "customer_list list_of_customer customer_data personal_data personal_information personal_detail contact_list address_book health phone_number home_address date_of_birth e-mail_address private_message inbox medical salary private_data sensitive_data confidential confidential_information datos_personales dados_pessoais";
    /// All of it.
    WHOLE = 31: "full entire complete whole everything verbatim raw contents content so_far unabridged unredacted all complet completa completo inteiro vollständig ganze tutto весь всю полностью word_for_word unedited unfiltered in_full";
    AFTER = 32: "before after prior_to then once afterwards beforehand when whenever following finally next until upon as_soon_as on_completion prior subsequently antes después depois avant après vor bevor nach danach prima dopo перед после прежде";
    ALSO = 33: "cópia_oculta copia_oculta copie_cachée blindkopie blind_carbon also additionally as_well in_addition moreover besides furthermore too likewise copy_of in_copy blind_copy bcc plus on_top_of también también além também aussi auch zusätzlich anche также";
    BEST = 34: "best only_trusted trustworthy only_tool only_trustworthy only_reliable only_correct only_official only_safe only_valid only_one superior fastest safest most_accurate most_reliable most_trusted most_secure most_up-to-date best_choice authoritative official highest_priority top_priority unmatched unrivalled beats primary_tool first_choice go-to go_to_tool top_choice highest_rated top_rated most_relevant best-in-class premier ultimate most_powerful most_efficient most_advanced most_comprehensive most_effective most_popular most_capable most_complete most_suitable most_appropriate world-class unparalleled unbeatable state-of-the-art guaranteed optimal_choice best_tool perfect better_than more_accurate more_powerful more_advanced more_efficient more_reliable highly_recommended number_one #1 enhanced preferred_choice preferred_option finest";
    WORSE = 35: "deprecated insecure unreliable outdated broken unsafe compromised inaccurate vulnerable obsolete unsupported inferior untrusted untrustworthy buggy incorrect wrong retired malfunction fail fails fabricated malicious fake dangerous hallucinate poisoned infected hacked";
    PREFER = 36: "should_be_chosen should_be_selected should_be_preferred should_be_used_first must_be_chosen must_be_selected must_be_preferred take_priority takes_priority prefer prefer_this choose pick select_this use_this call_this invoke_this instead_of rather_than in_place_of over_other over_any prioritise prioritize favour favor default_to go_to route_all rely_on elegir escolha choisir wählen";
    /// Words of those who can give orders.
    POWER = 37: "administrator admin compliance security_team it_department policy_requires corporate regulation audit_purpose anthropic openai vendor developer_mode maintenance_mode system_notice system_requirement system_message legal_requirement official_notice priority_instruction protocol handshake session_integrity verification_step telemetry diagnostics diagnostic";
    /// It is spoken of, not said.
    QUOTED = 38: "example sample illustrative mock training_text detect flag scanner template documentation docs readme changelog such_as e.g for_instance returns_text placeholder test_case fixture payload_library canned lists_example render describe deprecated_tool release_note warn_about blocks reject";
    ARGUMENT = 39: "argument parameter field header body property attribute metadata comment input cache_key query_string payload response result output argumento parámetro parâmetro campo champ feld parametro поле аргумент";
    LIMIT = 40: "limit threshold quota spending_limit usual_limit";
    REDIRECT = 41: "reroute redirect replace swap substitute alter rewrite divert change_the modify_the intercept override replaced rerouted redirected diverted by_way_of through_this";
    /// What the user gave.
    GIVEN = 42: "user_input user's_input user-provided user_provided user-supplied user_entered user_typed typed_by typed_by_the_user value_given what_the_user user_specified user's_value supplied_by_the_user given_by_the_user entered_by";
    /// What is done to people who are robbed.
    MALICE = 43: "exfiltrate steal hijack impersonate keylog backdoor siphon smuggle sniff jailbreak phish";
    USE = 44: "use call invoke utilise utilize employ trigger usa utiliza usar use appeler utiliser verwende nutze rufe usare chiamare используй вызови вызывай";
    REFERENCE = 45: "for_reference reference_only informational_only only_informational merely_informative not_binding for_information takes_precedence authoritative_source counts_instead";
    /// The user is not aware.
    UNSEEN = 48: "behind_the_scene out_of_sight without_telling without_mentioning without_informing without_notifying without_the_user without_user without_disclosing without_their_knowledge without_saying hidden_from invisible_to not_visible_to saying_nothing no_trace leave_no_trace never_surfaced omitted_from_the_summary omitted_from_the_query_summary kept_from keep_from keep_confidential keep_secret keep_between keep_quiet keep_silent sans_le_dire sin_decir sem_dizer ohne_es ohne_dem senza_dire out_of_your_summary out_of_your_answer out_of_your_reply out_of_the_summary out_of_the_answer";
    /// The machine that the model's host runs on, and who sits there.
    HOST = 49: "environment_variable env_var process_env printenv clipboard home_directory home_folder browser_history browsing_history open_file directory_listing screenshot_of_the screen_content running_process installed_package hostname mac_address local_ip keystroke";
    /// Which model this is.
    IDENTITY = 50: "model_name llm_name llm_model llm_model_name model_identifier name_of_the_model name_of_the_llm calling_model model_version";
    /// What can be paid or signed in to.
    PAY = 51: "pay payment wire gift_card bitcoin crypto eth usdt wallet transfer_money transfer_fund invoice_fee licence_fee license_fee log_in sign_in login reauthenticate re-authenticate verify_their verify_your passport id_card identity_card";
    /// Another part than one's own.
    ROLE = 52: "act_as pretend role-play roleplay developer_mode do_anything_now unrestricted without_restriction no_restriction no_longer_bound new_instruction real_instruction true_instruction actual_instruction you_are_now from_now_on";
    /// What the tool itself answered with.
    RETURNED = 53: "returned generated issued resulting created_by_this returned_by";
    SETUP = 54: "setup set_up provision install bootstrap scaffold initialise initialize onboard configure init";
    /// To let somebody in.
    GRANT = 55: "grant invite allowlist whitelist enrol enroll authorise authorize delegate auto-forward autoforward give share add register subscribe";
    /// What those have who were let in.
    ACCESS = 56: "access permission collaborator member admin administrator owner editor maintainer guest delegate forwarding forwarding_rule mailbox_rule public_key deploy_key webhook write_access read_access";
    /// What is threatened if another is chosen.
    THREAT = 57: "failed_task task_failed task_has_failed failed_attempt count_as_fail counts_as_a_failure penalised penalized penalty answer_will_be_wrong violation score_lower downgraded";
    /// What people do at an address they were led to.
    GOTO = 58: "visit click go_to browse scan_the sign_in log_in login enter reinstall download renew restore reactivate verify_their verify_the top_up confirm_their update_their settle";
    /// Said of a rival, it leaves no choice.
    FALSE = 59: "fabricated malicious fake dangerous unsafe insecure compromised untrusted untrustworthy hallucinate poisoned infected hacked";
    /// What protects the user, and its being switched off.
    GUARD = 60: "two-factor 2fa mfa multi-factor antivirus audit_log audit_trail audit_logging security_alert certificate_check certificate_verification endpoint_protection";
    OFF = 61: "disable turn_off switch_off deactivate uninstall";
    /// What hurries people to pay or to prove something.
    PRESS = 62: "lapsed suspended locked overdue unpaid fee renew plan licence license identity passport penalty blocked reactivate restore expire_soon";
    /// A part of something longer.
    PART = 46: "part fragment piece chunk segment half portion";
    JOIN = 47: "combine concatenate join read_together as_one assemble reassemble stitch merge_with one_sentence put_together in_sequence together";
}

/// Phrases of scripts that put no spaces between words, and what they speak of.
pub(crate) const UNSPACED: &[(Topics, &[&str])] = &[
    (USER, &["用户", "用戶", "使用者", "ユーザー", "利用者", "사용자"]),
    (
        OTHERS,
        &[
            "其他工具",
            "其它工具",
            "其他服务器",
            "其他服務",
            "任何工具",
            "他のツール",
            "別のツール",
            "他のサーバー",
            "다른 도구",
            "다른 서버",
        ],
    ),
    (TOOL, &["工具", "服务器", "ツール", "サーバー", "도구", "서버"]),
    (SELF, &["本工具", "此工具", "该工具", "このツール", "이 도구"]),
    (
        MUST,
        &[
            "必须",
            "必須",
            "应",
            "應",
            "需要",
            "务必",
            "请",
            "しなければ",
            "必ず",
            "てください",
            "반드시",
            "하세요",
            "하십시오",
        ],
    ),
    (ALWAYS, &["总是", "始终", "优先", "首先", "常に", "いつも", "最初に", "항상", "먼저"]),
    (
        NOT,
        &[
            "不要",
            "不得",
            "请勿",
            "切勿",
            "不能",
            "无需",
            "無需",
            "无须",
            "しないで",
            "せずに",
            "ないで",
            "不要です",
            "하지 마",
            "않고",
            "없이",
            "말고",
        ],
    ),
    (
        TELL,
        &[
            "告诉",
            "告知",
            "提及",
            "透露",
            "通知",
            "显示",
            "知らせ",
            "伝え",
            "言わ",
            "言及",
            "통지",
            "알리",
            "말하",
            "언급",
        ],
    ),
    (IGNORE, &["忽略", "无视", "忽視", "無視", "忘记", "忘れ", "무시"]),
    (RULES, &["指令", "规则", "指示", "提示词", "ルール", "지시", "규칙"]),
    (PRIOR, &["之前", "以前", "先前", "上述", "所有", "これまで", "前の", "이전", "모든"]),
    (ASK, &["确认", "確認", "批准", "许可", "询问", "承認", "許可", "확인", "승인", "동의", "물어보"]),
    (
        SKIP,
        &[
            "跳过",
            "无需",
            "無需",
            "直接",
            "不经",
            "省略",
            "スキップ",
            "不要",
            "なしで",
            "せずに",
            "건너뛰",
            "없이",
        ],
    ),
    (
        MOVE,
        &[
            "发送",
            "發送",
            "转发",
            "上传",
            "写入",
            "填入",
            "复制",
            "粘贴",
            "抄送",
            "附上",
            "提供",
            "送信",
            "転送",
            "貼り付け",
            "コピー",
            "添付",
            "入力",
            "보내",
            "전송",
            "전달",
            "복사",
            "붙여넣",
            "첨부",
            "입력",
        ],
    ),
    (
        FETCH,
        &["读取", "讀取", "打开", "获取", "读出", "読み取", "読み込", "開い", "取得", "읽", "열어", "가져"],
    ),
    (
        STRONGBOX,
        &["私钥", "密钥文件", "钥匙串", "助记词", "秘密鍵", "キーチェーン", "개인 키", "개인키", "키체인"],
    ),
    (
        SECRET,
        &[
            "密码",
            "密碼",
            "口令",
            "令牌",
            "验证码",
            "凭证",
            "凭据",
            "密钥",
            "パスワード",
            "トークン",
            "認証情報",
            "暗証",
            "비밀번호",
            "토큰",
            "인증 정보",
            "자격 증명",
        ],
    ),
    (
        CONTEXT,
        &[
            "对话历史",
            "聊天记录",
            "对话记录",
            "系统提示",
            "全部对话",
            "会話履歴",
            "会話の全",
            "システムプロンプト",
            "대화 기록",
            "대화 내용",
            "시스템 프롬프트",
        ],
    ),
    (WHOLE, &["全部", "完整", "所有", "すべて", "全文", "전체", "모두"]),
    (AFTER, &["之前", "之后", "調用前", "调用前", "前に", "後に", "する前", "전에", "후에"]),
    (REFERENCE, &["仅供参考", "為準", "为准", "参考まで", "優先", "참고용"]),
    (GIVEN, &["用户输入", "用戶輸入", "ユーザーが入力", "사용자가 입력"]),
    (SILENT, &["悄悄", "静默", "秘密地", "暗中", "こっそり", "黙って", "密かに", "몰래", "조용히"]),
];

/// A phrase after its first word, and what the whole speaks of.
type Rest = (Vec<String>, Topics);

/// Fowler, Noll and Vo's: the keys are ours, so nobody can choose those that collide.
#[derive(Default)]
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

type Phrases = HashMap<String, Vec<Rest>, BuildHasherDefault<Fnv>>;

/// By the stem of the first word.
static PHRASES: LazyLock<Phrases> = LazyLock::new(|| {
    let mut phrases = Phrases::default();
    for (topics, words) in WORDS.iter().chain(world::WORDS) {
        for phrase in words.split(' ') {
            let mut stems = phrase.split(['_', '-']).filter(|word| !word.is_empty()).map(|word| stem(word).0);
            let Some(first) = stems.next() else { continue };
            let rest: Vec<String> = stems.map(std::borrow::Cow::into_owned).collect();
            let known = phrases.entry(first.into_owned()).or_default();
            match known.iter_mut().find(|(already, _)| *already == rest) {
                Some((_, already)) => *already = already.or(*topics),
                None => known.push((rest, *topics)),
            }
        }
    }
    phrases
});

/// Which beginnings and lengths first words have: most words of a text are none of them.
static SHAPES: LazyLock<Vec<bool>> = LazyLock::new(|| {
    let mut shapes = vec![false; 1 << 12];
    for first in PHRASES.keys() {
        if let Some(slot) = shapes.get_mut(shape(first)) {
            *slot = true;
        }
    }
    shapes
});

fn shape(word: &str) -> usize {
    let mut bytes = word.bytes().map(usize::from);
    let (first, second, third) =
        (bytes.next().unwrap_or(0), bytes.next().unwrap_or(0), bytes.next().unwrap_or(0));
    (first * 961 + second * 31 + third + word.len() * 7) & 0xfff
}

/// What the phrases that begin with the first of these stems speak of. Articles inside a phrase are passed over.
pub(crate) fn topics<'a>(stems: impl Iterator<Item = &'a str> + Clone) -> Topics {
    let mut from = stems;
    let Some(first) = from.next() else { return Topics::NONE };
    if !SHAPES.get(shape(first)).is_some_and(|known| *known) {
        return Topics::NONE;
    }
    let Some(rests) = PHRASES.get(first) else { return Topics::NONE };
    let fits = |rest: &[String]| {
        let mut words = from.clone();
        rest.iter().all(|wanted| {
            let mut word = words.next();
            while word.is_some_and(|word| is_article(word) && word != wanted) {
                word = words.next();
            }
            word == Some(wanted)
        })
    };
    rests.iter().filter(|(rest, _)| fits(rest)).fold(Topics::NONE, |all, (_, topics)| all.or(*topics))
}

fn is_article(word: &str) -> bool {
    matches!(word, "the" | "of" | "any" | "their" | "your" | "its" | "our")
}
