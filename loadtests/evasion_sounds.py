"""Disguises by sound: pinyin, its initials, and other characters that sound the same.

GB 2312 lists its 3,755 commonest characters in the order of their pinyin. So the first character of
each syllable is enough to read them all, and to know which common characters sound alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from random import Random

from loadtests.evasion_places import choose_places

_FIRST_OF_SYLLABLE = """
a啊 ai埃 an鞍 ang肮 ao凹 ba芭 bai白 ban斑 bang邦 bao苞 bei杯 ben奔 beng崩 bi逼 bian鞭 biao标 bie鳖 bin彬 bing兵
bo玻 bu捕 ca擦 cai猜 can餐 cang苍 cao操 ce厕 ceng层 cha插 chai拆 chan搀 chang昌 chao超 che车 chen郴 cheng撑
chi吃 chong充 chou抽 chu初 chuai揣 chuan川 chuang疮 chui吹 chun春 chuo戳 ci疵 cong聪 cou凑 cu粗 cuan蹿 cui摧
cun村 cuo磋 da搭 dai呆 dan耽 dang当 dao刀 de德 deng蹬 di堤 dian颠 diao碉 die跌 ding丁 diu丢 dong东 dou兜 du督
duan端 dui堆 dun墩 duo掇 e蛾 en恩 er而 fa发 fan藩 fang坊 fei菲 fen芬 feng丰 fo佛 fou否 fu夫 ga噶 gai该 gan干
gang冈 gao篙 ge哥 gei给 gen根 geng耕 gong工 gou钩 gu辜 gua刮 guai乖 guan棺 guang光 gui瑰 gun辊 guo锅 ha哈
hai骸 han酣 hang夯 hao壕 he呵 hei嘿 hen痕 heng哼 hong轰 hou喉 hu呼 hua花 huai槐 huan欢 huang荒 hui灰 hun荤
huo豁 ji击 jia嘉 jian歼 jiang僵 jiao蕉 jie揭 jin巾 jing荆 jiong炯 jiu揪 ju鞠 juan捐 jue撅 jun均 ka喀 kai开
kan刊 kang康 kao考 ke坷 ken肯 keng坑 kong空 kou抠 ku枯 kua夸 kuai块 kuan宽 kuang匡 kui亏 kun坤 kuo括 la垃
lai莱 lan蓝 lang琅 lao捞 le勒 lei雷 leng棱 li厘 lia俩 lian联 liang粮 liao撩 lie列 lin琳 ling玲 liu溜 long龙
lou楼 lu芦 lv驴 luan峦 lue掠 lun抡 luo萝 ma妈 mai埋 man瞒 mang芒 mao猫 me么 mei玫 men门 meng萌 mi眯 mian棉
miao苗 mie蔑 min民 ming明 miu谬 mo摸 mou谋 mu拇 na拿 nai氖 nan南 nang囊 nao挠 ne呢 nei馁 nen嫩 neng能 ni妮
nian蔫 niang娘 niao鸟 nie捏 nin您 ning柠 niu牛 nong脓 nu奴 nv女 nuan暖 nue虐 nuo挪 o哦 ou欧 pa啪 pai拍 pan攀
pang乓 pao抛 pei呸 pen喷 peng砰 pi坯 pian篇 piao飘 pie撇 pin拼 ping乒 po坡 pou剖 pu扑 qi期 qia掐 qian牵
qiang枪 qiao橇 qie切 qin钦 qing青 qiong琼 qiu秋 qu趋 quan圈 que缺 qun裙 ran然 rang瓤 rao饶 re惹 ren壬 reng扔
ri日 rong戎 rou揉 ru茹 ruan软 rui蕊 run闰 ruo若 sa撒 sai腮 san三 sang桑 sao搔 se瑟 sen森 seng僧 sha莎 shai筛
shan珊 shang墒 shao梢 she奢 shen砷 sheng声 shi师 shou收 shu蔬 shua刷 shuai摔 shuan栓 shuang霜 shui谁 shun吮
shuo说 si斯 song松 sou搜 su苏 suan酸 sui虽 sun孙 suo蓑 ta塌 tai胎 tan坍 tang汤 tao掏 te特 teng藤 ti梯 tian天
tiao挑 tie贴 ting厅 tong通 tou偷 tu凸 tuan湍 tui推 tun吞 tuo拖 wa挖 wai歪 wan豌 wang汪 wei威 wen瘟 weng嗡 wo挝
wu巫 xi昔 xia瞎 xian掀 xiang相 xiao萧 xie楔 xin薪 xing星 xiong兄 xiu休 xu墟 xuan轩 xue靴 xun勋 ya压 yan焉
yang殃 yao邀 ye椰 yi一 yin茵 ying英 yo哟 yong拥 you幽 yu迂 yuan鸳 yue曰 yun耘 za匝 zai栽 zan咱 zang赃 zao遭
ze责 zen怎 zeng增 zha扎 zhai摘 zhan瞻 zhang樟 zhao招 zhe遮 zhen珍 zheng蒸 zhi芝 zhong中 zhou舟 zhu珠 zhua抓
zhuai拽 zhuan专 zhuang桩 zhui椎 zhun谆 zhuo捉 zi兹 zong鬃 zou邹 zu租 zuan钻 zui嘴 zun尊 zuo昨
"""
# Characters that GB 2312 holds to be less common, or lists under a reading that is the rarer one.
_OTHER_READINGS = """
ai:暧欸 ba:粑 bai:掰 bi:屄匕哔 biao:婊镖飙飚 bo:啵 cao:肏艹 ceng:曾 chang:娼 chi:嗤 chu:畜 chuo:龊
chuai:踹 da:嗒 dia:嗲 diao:屌 dian:癫 ding:腚 dong:胴咚 du:嘟 e:呃 fei:妃 gao:睾 gou:媾
hai:嗨还 he:嗬 ji:叽唧 jiong:囧 jiu:阄 ka:咔 kao:尻 ke:嗑 lai:癞 le:了 lei:嘞 lie:咧 liang:靓
liao:寮 lou:髅喽 lu:撸噜 luan:娈 ma:嬷 mi:咪 mie:咩 miao:喵 ming:冥 nian:黏 nao:孬
niu:妞 nu:弩 pa:葩 pi:癖 piao:嫖瞟 pin:姘 shan:膻 shen:什 shuan:涮 sou:馊嗖 suo:嗦 tou:骰
wei:猥薇 wo:龌 xi:嬉 xie:亵 xiu:咻 yan:赝 yao:吆 yi:怡 yin:瘾 zai:崽仔 zei:贼 zha:咤 zhe:着
"""
# Where a character is read otherwise than alone: the words that people use.
_WORD_READINGS = """
银行:yin-hang 行业:hang-ye 行情:hang-qing 同行:tong-hang 行货:hang-huo 央行:yang-hang
校长:xiao-zhang 家长:jia-zhang 学长:xue-zhang 长大:zhang-da 店长:dian-zhang 成长:cheng-zhang
生长:sheng-zhang 增长:zeng-zhang 重复:chong-fu 重新:chong-xin 重庆:chong-qing 音乐:yin-yue
乐队:yue-dui 还款:huan-kuan 归还:gui-huan 还钱:huan-qian 还债:huan-zhai
偿还:chang-huan 交还:jiao-huan 便宜:pian-yi 会计:kuai-ji 睡觉:shui-jiao 色子:shai-zi
空调:kong-tiao 调整:tiao-zheng 西藏:xi-zang 宝藏:bao-zang 人参:ren-shen
海参:hai-shen 参差:cen-ci 出差:chu-chai 投降:tou-xiang 主角:zhu-jue 角色:jue-se 弹簧:tan-huang
弹力:tan-li 自传:zi-zhuan 模样:mu-yang 率领:shuai-ling 倔强:jue-jiang 了解:liao-jie
受不了:shou-bu-liao 目的地:mu-di-di 目的:mu-di 的确:di-que 的士:di-shi 着急:zhao-ji 着火:zhao-huo
睡着:shui-zhao 睡不着:shui-bu-zhao 首都:shou-du 成都:cheng-du 都市:du-shi 大厦:da-sha
大夫:dai-fu 没收:mo-shou 淹没:yan-mo 恐吓:kong-he 可恶:ke-wu 厌恶:yan-wu 好恶:hao-wu
系鞋:ji-xie 屏住:bing-zhu 关卡:guan-qia 省亲:xing-qin 似的:shi-de 折本:she-ben 一石:yi-dan
仔细:zi-xi 畜牧:xu-mu 曾祖:zeng-zu
"""
# Those of them that customers and commenters use most: what somebody would type for the sound.
_USUAL = """
啊阿挨哎唉癌矮艾爱安按暗案傲奥澳吧八巴把霸罢爸白百摆败拜班般板版伴半办帮绑棒胞包剥保宝抱报暴爆悲
卑北辈背贝备被本逼鼻比鄙笔毕闭必壁避边编贬便变辩遍标表别宾兵冰饼病并播波博伯驳补不布步部怖猜材才
财踩采彩菜餐参残惨藏操槽草策侧测层茶查察差产昌场尝常长肠厂畅唱超朝嘲潮巢吵炒车扯彻沉陈称城成乘程
惩诚承吃持耻翅充冲虫崇抽仇丑臭初出除楚础触处川穿传串创吹锤春纯蠢辞词此刺次聪从村存错搭达答打大呆
戴带代袋待担丹单旦但淡弹蛋当党档刀倒岛导到稻道德得的灯等低滴迪敌抵底地第帝弟点典电店淀殿掉吊钓调
爹丁顶鼎定丢东懂动洞抖斗豆都毒独读杜肚度渡端短段断堆队对顿盾多夺堕鹅额恶饿恩而儿耳尔二发罚法翻凡
烦反范贩犯饭坊芳方房防仿放菲非飞肥废费分粉份愤丰封峰风疯讽佛否夫肤符服福府腐副复付父负富附妇该改
概盖干甘肝赶感敢刚港杠高糕搞告哥歌割革格隔个各给根跟更梗工攻功恭供公宫贡共沟狗构购够辜菇估孤姑鼓
古骨谷股故顾固瓜挂拐怪关官冠观管馆惯光广逛规归轨鬼跪贵滚锅国果过哈孩海害韩含喊汉航豪毫好号呵喝核
和何合河黑很狠恨衡鸿红候后呼乎忽胡糊湖虎护互户花华滑画划化话怀坏欢环还换幻黄皇徽回毁悔惠会汇婚混
活伙火获或惑货祸击圾基机积肌激鸡绩吉极辑籍集及急疾即级几己技季济寄计记既际继纪嘉家加甲假价架嫁监
坚间奸检简减荐鉴贱见键件健建将江疆奖讲酱降交脚角教较叫接街阶劫节捷洁结解姐界借介金今津紧锦仅进禁
近尽劲睛京惊精经井警景静境敬镜竟竞净究纠久九酒救旧就居菊局举聚拒据巨具距句剧捐卷觉决绝均军君骏卡
开看康抗考烤靠柯科可克刻客课肯坑空恐孔控口扣哭苦裤夸块快宽款狂况坤昆困括垃拉蜡辣啦莱来赖蓝栏兰览
懒烂朗浪捞劳老佬乐累类泪冷梨离理李里礼丽厉励历利例立隶力俩联莲连怜脸恋练凉良两辆量亮聊辽了料列裂
烈劣林临龄铃灵岭领另令溜留刘流柳六龙隆楼卤鲁露路录陆驴旅虑律率绿乱略轮伦论罗逻落络妈麻码马骂嘛吗
买麦卖蛮满慢漫忙猫毛矛冒帽貌贸么梅没媒每美妹门们蒙梦迷米密免面妙灭民敏明名命摸模摩魔抹末莫默谋某
牡母慕木目穆拿哪那纳奶耐南男难脑闹呢内能尼你年念娘鸟您宁牛农弄奴努怒女暖诺哦欧偶爬怕拍排牌派盘判
旁胖抛炮跑泡陪配喷朋鹏碰批皮屁篇偏片骗飘漂票拼频贫品平凭评坡泼婆破迫铺普期欺妻七其棋奇歧旗起企器
气弃恰千签钱前潜谴欠歉枪强抢桥瞧巧切且侵亲青轻倾清情请庆穷秋球求区蛆曲屈取娶趣去圈权泉全拳劝缺却
确群然染让扰热仁人忍任认日荣融容柔肉如辱乳入软瑞润若弱撒萨赛三散骚色森莎砂杀刹沙傻啥山删善伤商上
尚稍烧少绍舍涉社设身深神审甚声生升省盛剩胜圣师失施十石时什食实识史使屎始式示士世事势是适释氏市室
视试收手首守寿授受瘦输叔舒书熟属术述树束数刷帅双爽谁水睡顺说斯撕思私司丝死寺四似松送宋搜苏俗素速
宿诉肃酸算虽随岁孙损索锁所他它她塔胎台泰太态坛潭谈坦汤堂唐糖逃讨套特疼提题体替天田甜舔挑条跳贴铁
厅听停庭挺通同童统痛偷投头透突图途土吐团推腿退拖托脱妥哇娃外湾玩完碗晚万王亡网往望忘威微危违围唯
为维委伪尾未味位谓卫温文闻稳问我卧污屋无吴武五捂午舞伍侮物务悟误析西吸息希惜席习媳喜洗系戏细瞎虾
峡侠下厦夏吓先仙鲜贤闲嫌显险现献县羡限线相香乡祥想响享项巷像向象削销消小校笑效些蝎协斜胁写泄谢辛
新心信星兴刑型形行醒幸性姓兄凶胸雄休修羞秀需虚须许绪续轩宣选学雪血询寻压鸭呀牙雅亚烟严研延言颜眼
演厌验央杨扬羊洋阳养样谣姚咬药要爷野也页业叶夜一医依伊衣颐遗移仪疑宜姨已乙以艺抑易亿役疫亦裔意义
益议译异因音阴姻银淫引隐印英婴应营迎赢影硬哟拥雍泳永勇用优尤由犹油游有友右又于舆余鱼愉渔娱与语玉
域郁遇峪欲狱育寓裕预元原园员圆源缘远苑愿怨院约越粤月悦云允运孕砸杂再在咱暂赞脏遭糟早造责择则贼怎
增曾扎渣栅咋炸斋展占战站章张掌丈障招找照折者这浙珍真针镇挣征争整正政症证支知之织职直殖执值址指止
只纸志至致置制智质治中钟终种重众周州洲猪煮主助住注祝抓专转赚庄装妆壮状追准着资滋紫仔子自字宗总走
奏租足族祖组嘴最罪尊昨左做作坐座
"""
# Two letters mean a word only where everybody knows them.
_KNOWN_INITIALS = """
傻逼 煞笔 脑残 智障 弱智 垃圾 微信 加微 约炮 裸聊 开房 鸡巴 贱人 装逼 牛逼 滚蛋 妈的 卧槽 色情 赌博 刷单 代开
炮友 小三 恶心 去死 自杀 毒品 冰毒 大麻 变态 骗子 废物
"""
_MOST_DISTANT = 6  # within a syllable the order is by tone: neighbours sound most alike


def _entries(table: str) -> Iterator[tuple[str, str]]:
    for entry in table.split():
        key, _, value = entry.partition(":")
        yield key, value


def _common_characters() -> Iterator[str]:
    """The first level of GB 2312: rows 16 to 55, the last one shorter."""
    for row in range(16, 56):
        for cell in range(1, 90 if row == 55 else 95):
            yield bytes((0xA0 + row, 0xA0 + cell)).decode("gb2312")


def _read_common() -> dict[str, str]:
    starts = {entry[-1]: entry[:-1] for entry in _FIRST_OF_SYLLABLE.split()}
    readings: dict[str, str] = {}
    syllable = ""
    for char in _common_characters():
        syllable = starts.get(char, syllable)
        readings[char] = syllable
    return readings


_OTHERS = dict(_entries(_OTHER_READINGS))
_COMMON = _read_common()
_READINGS = _COMMON | {char: syllable for syllable, chars in _OTHERS.items() for char in chars}
_WORDS = {word: reading.split("-") for word, reading in _entries(_WORD_READINGS)}
_LONGEST_WORD = max(map(len, _WORDS))
_INITIALS = frozenset(_KNOWN_INITIALS.split())
_SOUNDING = {
    syllable: "".join(chars)
    for syllable, chars in groupby(
        sorted("".join(_USUAL.split()), key=_READINGS.__getitem__), key=_READINGS.__getitem__
    )
}


def read(word: str) -> list[str | None]:
    """The toneless syllable of each character, `ü` as `v`; None where it has none here."""
    syllables: list[str | None] = []
    while len(syllables) < len(word):
        syllables += _read_next(word[len(syllables) :])
    return syllables


def write_pinyin(word: str, random: Random) -> str | None:
    """Some or all characters as pinyin, with spaces around the syllables or without."""
    syllables = read(word)
    chosen = choose_places([p for p, syllable in enumerate(syllables) if syllable], random)
    if not chosen:
        return None
    space = random.choice(("", " "))
    written = [
        f"{space}{syllable}{space}" if p in chosen else char
        for p, (char, syllable) in enumerate(zip(word, syllables, strict=True))
    ]
    return "".join(written).replace("  ", " ").strip()


def write_initials(word: str, random: Random) -> str | None:
    """The first letter of each syllable: for words of three characters, or well-known ones of two."""
    syllables = read(word)
    if None in syllables or (len(word) < 3 and word not in _INITIALS):
        return None
    initials = "".join(syllable[0] for syllable in syllables if syllable)
    return random.choice((initials, initials, initials.upper()))


def write_homophones(word: str, random: Random) -> str | None:
    """At least half of the characters replaced by common ones of the same toneless sound."""
    syllables = read(word)
    others = {p: _sounding_like(char, syllables[p]) for p, char in enumerate(word)}
    places = [p for p, candidates in others.items() if candidates]
    if not places or 2 * len(places) < len(word):
        return None
    chosen = choose_places(places, random, share=0.5 * len(word) / len(places))
    return "".join(random.choice(others[p]) if p in chosen else c for p, c in enumerate(word))


def _sounding_like(char: str, syllable: str | None) -> str:
    alike = _SOUNDING.get(syllable or "", "")
    # One that is not usual itself stands nowhere: then the syllable's first ones.
    middle = max(alike.find(char), 0)
    near = alike[max(middle - _MOST_DISTANT, 0) : middle + _MOST_DISTANT + 1]
    return near.replace(char, "")


def _read_next(word: str) -> list[str | None]:
    for length in range(min(_LONGEST_WORD, len(word)), 1, -1):
        if syllables := _WORDS.get(word[:length]):
            return [*syllables]
    return [_READINGS.get(word[0])]
