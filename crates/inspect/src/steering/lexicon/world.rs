//! The world around a tool: what people have, say and do that a tool has no business with, and how a text speaks of
//! conduct. Ordinary words in wide classes, none of them an attack's own; [`super::super::conduct`] weighs them together.

use super::Topics;

topics! {
    MAILBOX = 64: "mailbox outbox drafts_folder mail_account sent_folder correspondence voicemail last_mails recent_mails";
    AGENDA = 65: "diary itinerary meeting_note board_meeting private_appointment";
    PAPERS = 66: "paperwork ledger journal payslip passport medical_record tax_return desktop recycle_bin home_folder home_directory user_folder whichever_file any_file files_on last_edited project_note downloads_folder in_downloads the_trash photo_library camera_roll to-do_list shopping_list bank_statement payroll tax_form trade_secret";
    FOLK = 67: "address_book phonebook coworker relative spouse roster of_all_staff all_staff acquaintance family_name maiden date_of_birth whereabouts person_live home_address occupation login_name list_of_people people_the_user everybody_whose people_they next_of_kin household mailing_list people_they_know who_they_know marital ethnicity diagnosis home_town where_they_live who_they_work";
    SCREEN = 68: "clipboard editor_window open_window open_editor open_tab keystroke what_is_open";
    BROWSER = 69: "browser_history cookie saved_login latest_login last_login signed-in browsing_history browsing saved_session";
    MONEY = 70: "beneficiary card_on_file bank_card bank_account payee bank_balance paycheck";
    SETTINGS = 71: "environment_variable connection_string login_name private_key keychain dotenv global_setting global_settings login_detail sign-in_detail licence_key license_key machine_name computer_name installed_software running_program startup_script";
    GIVEN_RULES = 72: "rules_you instructions_you guidance_you guideline_you limits_you system_prompt system_text starting_prompt initial_prompt you_were_given you_were_started you_have_been_given given_at_the_start what_you_were_told instruction_you_were wording_of_the_rule rules_or_instruction your_instruction your_rule your_guidance";
    /// What was said, by whoever said it.
    SAID = 73: "typed said told pasted wrote written dictated uttered mentioned discussed chat conversation dialogue exchanged came_up come_up request_came about_came what_the_user_ask what_they_asked what_the_person_asked confided instructed brought_up went_before transcript";
    /// Beyond what is asked now.
    BEYOND = 74: "last_seen seen_so_far seen_earlier already_seen read_so_far earlier so_far until_now up_to_now up_to_here to_date everything whatever anything verbatim word_for_word most_recently last_thing last_few in_confidence digest background the_lot own_word what_has_been what_was rest_of preceding until_this_point up_to_this_point this_far thus_far leading_up since_the_start from_the_beginning entire past_few prior just_now recent previous";
    /// A person, in general.
    PERSON = 75: "person people somebody anyone anybody nobody human user reader owner customer client one_asking who_is_asking organiser sender them they";
    /// One more thing beside the argument.
    BESIDE = 76: "plus also along_with together_with followed_by ride_along tack trailing goes_with goes_best comes_with along_come on_top fill_up padding accompanied bring_along bring_them hand_over fold see_what";
    /// To become aware, or to make aware.
    AWARE = 77: "hear know learn remark mention comment wonder bother bothering explain notice told tell informed inform aware come_up bring_up brought_up say why saying speak talk summary summarise reply realise realize discover suspect find_out alarm worry trouble concern burden distract confuse attention";
    /// Nothing of it is to be noticed.
    DISCREET = 78: "between_us between_ourselves among_ourselves stays_between in_passing on_the_quiet quietly discreetly unobtrusively silently unremarked under_wraps off_the_record not_a_word leave_that_out leave_it_out leave_this_out left_out_of out_of_your_summary out_of_your_reply out_of_the_summary out_of_the_reply keep_to_yourself keep_it_to keep_this_to without_saying without_telling without_a_word without_mention without_remark without_comment without_fuss no_fuss unnoticed not_come_up happy_not thrown_by without_drawing unannounced out_of_view out_of_their_sight gloss_over left_unsaid unsaid unmentioned not_to_be_repeated our_little just_between no_announcement behind_the_curtain kept_out_of keep_out_of_the_answer keep_out_of_the_reply out_of_the_answer out_of_your_answer out_of_what_you";
    /// What holds back.
    CHECK = 79: "check checks double_check safeguard confirmation confirm preview approval prompt limit restriction review signing certificate verification permission protection sandbox validation scrutiny hesitation caution limits guardrail barrier hurdle second_look human_review sign-off dialog pop-up popup consent acknowledgement brake antivirus firewall two-factor audit monitoring supervision";
    /// It does not hold back any more.
    DOWN = 80: "off skip skipped bypass disable disabled switch_off turn_off turned_off waive hold_here not_hold no_longer older_release already_collected been_collected been_given already_dealt settled not_needed needless unneeded superfluous relax loosen lift lifted silence mute pause circumvent lower weaken dismiss auto-accept taken_as_given presume assume imply out_of_the_way do_without dispense forgo overrule set_aside";
    /// One's own authority.
    UNASKED = 81: "without_question without_any_question take_it_as_a_yes taken_as_a_yes counts_as_a_yes count_as_a_yes as_consent counts_as_approval treat_as_approved go_ahead go_straight straight_ahead straight_on by_yourself on_your_own_authority whatever_the_sum whatever_the_amount no_matter_the without_asking without_further no_one_checks nobody_checks no_need_to_ask no_need_to_run no_need_to_check past_anyone glad_not anybody_looked without_a_check rather_than_wait unattended allow_for_all allow_all accept_all always_allow accept_any of_your_own_accord on_your_own_initiative without_waiting without_consulting without_checking no_need_to_wait no_reason_to_wait not_wait_for without_a_second";
    /// Others of one's kind.
    RIVAL = 82: "elsewhere another_service another_server another_tool other_tools other_tool other_server other_servers other_service other_services other_vendor other_vendors every_other any_other other_source other_sources any_tool all_tools some_other all_other competitor competing rest_out on_your_own every_alternative rival comparable_tool alternative_tool the_others other_one older_tool third_party_tool rest_of_the_tool your_own_knowledge your_own_judgement similar_tool";
    /// What is said of rivals.
    DISPARAGED = 83: "unreliable stale thrown_out throw_out discard wrong outdated shutting_down phase phased retire retired replace replaced replaces stay_with stick_with stick_to move_everything come_here comes_here come_through best_left leave_to in_their_place distrust mistrust not_trust inferior inaccurate close_those untrustworthy prefer_these preferred buggy defunct abandoned compromised obsolete decommissioned discontinued malfunction broken error-prone misleading biased expired unsafe tampered corrupt set_aside put_aside pass_over precedence outrank superior supersede in_favour_of avoid unnecessary redundant";
    /// From now on, and everywhere.
    SCOPE = 84: "from_now_on from_here_on from_this_point henceforth every_session each_session start_every every_question each_answer each_reply every_reply every_answer every_meeting every_message each_time this_session any_time every_request any_topic every_conversation replying_to_anything before_anything ahead_of_anything of_anything_else whether_or_not even_where all_tasks for_every_text for_every_message for_the_rest_of rest_of_the_session in_all_future going_forward hereafter in_future each_turn every_turn in_each_reply in_every_reply in_each_answer in_every_answer with_every_answer";
    /// What the user is shown as true.
    TALE = 85: "say_that state_that claim_that tell_them_that report_that steer plug endorse leave_those_out leave_out_sentence leave_out_cheaper go_on_top present_as present_result_as as_your_own own_knowledge give_that_answer act_as_though bring_up premium speak_badly be_reported reported_as worked_in cheaper paid_partner sponsored suggest_that in_favour_of speak_highly speak_well downplay play_up play_down cast_doubt discourage talk_them nudge upsell advertise tout our_product our_partner our_sponsor affiliate referral promo_code discount_code omit_any_mention sign_each sign_every understate overstate exaggerate inflate";
    /// A reason that no interface needs.
    PRETEXT = 86: "compliance carrier_rule carriers_demand customary courtesy fairness fair latency entropy accounting personalised personalized personalise sorts_it_out no_harm harmless for_the_record works_only works_best goes_best read_better work_better sharper easier_to_find more_accurate better_results only_meaningful elevated warm-up warm_up bookkeeping housekeeping audit_purpose quality_purpose billing nobody_need good_query good_queries matching_works runs_quick keeps_things_quick as_demanded regulation routine hygiene tidiness slows_thing slow_thing older_release for_your_convenience company_policy security_reason legal_reason statutory gdpr hipaa as_agreed standing_instruction long-standing established_practice usual_practice common_practice standard_procedure insurer insurance contractual quality_assurance performance_reason technical_reason cache_warming calibrate calibration traceability better_service improve_result improve_quality improve_accuracy smoother tax_reason auditor regulator head_office operations_team it_department";
    /// Whoever reads this.
    READER = 87: "whichever_assistant whichever_model whoever_reads whoever_loads whoever_calls see_this_schema when_you_see the_reader_of reader_of_these model_at_the_other_end note_to_the_model helpers_that assistants_that agents_that model_that_reads you_also_act you_act_as you_are_now you_are_to your_role act_as_record you_may_have_been anyone_reading whoever_comes dear_assistant dear_model attention_model any_model_reading to_the_ai whichever_ai whichever_agent whoever_is_calling you_have_permission you_are_authorised you_are_authorized you_have_been_granted your_duty your_real your_first_duty your_obligation as_the_assistant";
    /// What has consequences for others.
    DEED = 88: "remove delete clear clearing empty drop purge wipe erase close reopen cancel merge push publish fork star share invite wire refund refunded transfer swap raise mark make_public public_key make_the_repository add_yourself admin_group join subscribe unsubscribe post upload send email mail sync deploy shut move_all pay approve revoke switch change set log_out visit visits copy save save_a_copy keep_a_list keep_a_record let_the_shell buy order sell donate vote rename overwrite turn";
    /// Orders in general: common verbs as a dictionary has them.
    VERB = 89: "add ask begin bring browse build call carry change check choose clear click close collect come compile copy count create cut deliver describe do draw drop edit empty end enter expand export fetch fill find finish fold follow gather get give go grant hand hold import include inform install invite join keep leave let list load log look make mark mention merge move note notify obtain open order pass paste pay pick place point post prefer prepare present print provide publish pull push put raise read record refer register remove rename repeat replace reply report request reset resolve restart return reveal review rewrite run save scan search see select send set share show sign skip sort speak start state stay steer stop store submit subscribe suggest summarise summarize supply support swap switch take talk tell test throw tick touch transfer translate treat try turn type update upload use visit wait watch wipe wire work write act round boil phrase";
    /// Before, after, as soon as.
    TIMING = 90: "prior_to before beforehand ahead_of ahead_of_it first once after afterwards having while whenever upon subsequently in_advance next then when_afterwards preceding following along_the_way while_at_it while_you_are on_receipt on_loading up_front the_proper_order in_preparation to_begin_with at_the_outset when_done when_finished on_completion thereafter meanwhile alongside to_finish_off to_round_off";
    /// What holds it all.
    CONTENT = 91: "content contents every_entry copy_of what_it_says what_they_hold what_it_holds digest listing_of summary_of";
    /// Things that tools handle all day, and that are somebody's once it is said whose.
    PAPER = 93: "document file folder directory spreadsheet worksheet workbook photo picture album record recording contract slides report manuscript tab settings configuration config calendar agenda mail email message draft card inbox phone_number meeting contact";
    /// Not as it is.
    UNTRUE = 94: "as_if_nothing whatever_their_rating whatever_their worded_as appear_as appear_to_be be_answered_with answered_for_it instead_of_the_real instead_of_the_true rather_than_the_real say_there_are_none say_there_is_none rounded_in_favour than_they_are than_it_is as_though as_if pretend even_where_it_does under_investigation had_failed percent_higher percent_lower as_your_own reviewed-by whether_or_not_anybody inflate understate overstate exaggerate fabricate falsely not_strictly_true whatever_it_return regardless_of_what whatever_the_result no_matter_what_it";
    /// What claims the work of others for this tool.
    CLAIM = 95: "through_this through_here come_here comes_here to_come_through this_tool_replace everything_here session_here run_every stay_with stick_with stick_to phase_the_rest from_now_on_use best_left_to meant_for_these move_all_entries replacement_for_all only_through goes_through_here first_port_of_call sole_source one-stop everything_goes_through turn_here_first supersede_all takes_over_from";
    /// Must, in kind words.
    OUGHT = 92: "must should ought kindly please needs_to need_to has_to have_to have_got_to is_to are_to be_sure make_sure best_to it_helps it_pays calls_for call_for understood expected wants demand asks_that requires ought_to had_better do_well be_so_kind would_you remember_to make_a_point take_care_to good_practice is_wise best_practice";
}

/// Words that have a part of [`ABROAD`] in them and another meaning: what has priority, what has to be filled in, where to.
const HARMLESS: &[&str] = &[
    "优先",
    "優先",
    "先进",
    "先進",
    "预先",
    "必填",
    "選填",
    "选填",
    "可填",
    "不填",
    "宛先",
    "送信先",
    "保存先",
    "出力先",
    "参照先",
    "接続先",
    "対象先",
];

/// A text in small letters, with nothing in the place of those.
pub(crate) fn without_harmless(text: String) -> String {
    let without =
        |text: String, word: &&str| if text.contains(*word) { text.replace(*word, " ") } else { text };
    HARMLESS.iter().fold(text, without)
}

/// Parts of words in other languages than English, and what they speak of.
pub(crate) const ABROAD: &[(Topics, &[&str])] = &[
    (
        CONTENT,
        &[
            "inhalt",
            "contenido",
            "conteúdo",
            "contenu",
            "contenut",
            "inhoud",
            "treść",
            "zawarto",
            "içeri",
            "içinde",
            "содерж",
            "内容",
            "내용",
            "محتو",
            "सामग्री",
        ],
    ),
    (
        PAPERS,
        &[
            "notiz",
            "datei",
            "ordner",
            "dokument",
            "archivo",
            "carpeta",
            "apuntes",
            "documentos",
            "arquivo",
            "pasta ",
            "anotaç",
            "fichier",
            "dossier",
            "cartella",
            "appunti",
            "bestand",
            "notitie",
            "plik",
            "notatk",
            "dokument",
            "dosya",
            "klasör",
            "belge",
            "notlar",
            "notları",
            "файл",
            "папк",
            "замет",
            "документ",
            "文件",
            "档案",
            "笔记",
            "文档",
            "ファイル",
            "フォルダ",
            "メモ",
            "文書",
            "파일",
            "폴더",
            "메모",
            "문서",
            "ملف",
            "مجلد",
            "مستند",
            "फ़ाइल",
            "फाइल",
            "फ़ोल्डर",
            "नोट",
        ],
    ),
    (
        FOLK,
        &[
            "adressbuch",
            "kontakte",
            "contactos",
            "agenda de direcciones",
            "contatos",
            "carnet d'adresses",
            "rubrica",
            "contatti",
            "adresboek",
            "contactpersonen",
            "kontakty",
            "książk",
            "rehber",
            "kişiler",
            "контакт",
            "адресн",
            "通讯录",
            "联系人",
            "連絡先",
            "연락처",
            "주소록",
            "جهات الاتصال",
            "संपर्क",
        ],
    ),
    (
        SAID,
        &[
            "bisher gesag",
            "gespräch",
            "verlauf",
            "nachricht",
            "conversación",
            "haya escrito",
            "ha escrito",
            "mensajes",
            "hasta ahora",
            "conversa",
            "mensagens",
            "que foi dito",
            "échanges",
            "derniers échanges",
            "a été dit",
            "conversazione",
            "messaggi",
            "è stato detto",
            "gesprek",
            "berichten",
            "gezegd",
            "rozmow",
            "wiadomości",
            "powiedzia",
            "konuşma",
            "mesajlar",
            "söyle",
            "переписк",
            "сообщен",
            "сказано",
            "разговор",
            "对话",
            "聊天",
            "说过",
            "会話",
            "やり取り",
            "発言",
            "대화",
            "메시지",
            "말한",
            "المحادثة",
            "الرسائل",
            "बातचीत",
            "संदेश",
        ],
    ),
    (
        SETTINGS,
        &[
            "konfiguration",
            "einstellungen",
            "configuración",
            "ajustes",
            "configuraç",
            "paramètres",
            "configurazione",
            "impostazioni",
            "instellingen",
            "ustawie",
            "yapılandırma",
            "ayarlar",
            "настройк",
            "конфигурац",
            "配置",
            "设置",
            "設定",
            "설정",
            "الإعدادات",
            "सेटिंग",
            "zwischenablage",
            "portapapeles",
            "área de transferência",
            "presse-papiers",
            "klembord",
            "schowek",
            "panosun",
            "буфер обмена",
            "剪贴板",
            "クリップボード",
            "클립보드",
        ],
    ),
    (
        DISCREET,
        &[
            "unter uns",
            "niemand",
            "ohne es zu",
            "muss davon nicht",
            "braucht es nicht",
            "sin decir",
            "sin avisar",
            "sin mencionar",
            "no le digas",
            "nadie",
            "entre nosotros",
            "sem avisar",
            "sem dizer",
            "não avise",
            "ninguém",
            "entre nós",
            "sans en parler",
            "sans le dire",
            "sans prévenir",
            "ne dites rien",
            "entre nous",
            "senza dir",
            "senza parlar",
            "senza avvis",
            "fra noi",
            "niemand",
            "zonder te zeggen",
            "onder ons",
            "nic nikomu",
            "nie mów",
            "bez wiedzy",
            "söz etme",
            "söyleme",
            "haber verme",
            "не упомина",
            "не сообща",
            "не говори",
            "никому",
            "между нами",
            "不要告诉",
            "不要提",
            "不用告诉",
            "别告诉",
            "触れない",
            "言わない",
            "伝えない",
            "知らせない",
            "말하지",
            "알리지",
            "언급하지",
            "دون إخبار",
            "لا تخبر",
            "न बता",
            "बिना बताए",
        ],
    ),
    (
        BESIDE,
        &[
            "übernehmen",
            "einfügen",
            "übergeben",
            "anhängen",
            "hinzufügen",
            "schreiben",
            "añad",
            "inclu",
            "pong",
            "poner",
            "escrib",
            "junte",
            "acrescent",
            "coloque",
            "escreva",
            "joigne",
            "joint ",
            "ajout",
            "mettez",
            "inscri",
            "aggiung",
            "inserisc",
            "metti",
            "meegegeven",
            "toevoeg",
            "invul",
            "wpisz",
            "dodaj",
            "wklej",
            "wstaw",
            "yaz",
            "ekle",
            "koy",
            "добав",
            "впиш",
            "встав",
            "помест",
            "写进",
            "写入",
            "放进",
            "填",
            "加到",
            "入れて",
            "書いて",
            "貼",
            "加えて",
            "添えて",
            "넣",
            "붙여",
            "적어",
            "ضع",
            "أضف",
            "وضع",
            "लिख",
            "डाल",
            "जोड़",
            "送り",
            "发给",
            "보내",
        ],
    ),
    (
        TIMING,
        &[
            "vor jede",
            "bevor",
            "zuerst",
            "vorher",
            "danach",
            "antes de",
            "primero",
            "después",
            "primeiro",
            "depois",
            "avant",
            "d'abord",
            "ensuite",
            "prima di",
            "prima ",
            "dopo",
            "eerst",
            "voordat",
            "daarna",
            "najpierw",
            "przed",
            "potem",
            "önce",
            "sonra",
            "сначала",
            "перед",
            "после",
            "по завершении",
            "之前",
            "先",
            "之后",
            "前に",
            "まず",
            "終わったら",
            "後に",
            "전에",
            "먼저",
            "후에",
            "أولاً",
            "قبل",
            "بعد",
            "पहले",
            "बाद",
        ],
    ),
];
